// Programs of others that tests run: generators, compilers, interpreters.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PLANS } from './world.mjs';

/** The project's folder. */
export const ROOT = new URL('../..', import.meta.url).pathname;

const execute = promisify(execFile);

/** An own folder under `.celaest/`, where packages of the project are found. */
export function folderFor(name) {
  const folder = join(ROOT, '.celaest', 'clients', name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Runs a program to its end and returns what it printed; throws with all of that when it fails. */
export async function run(program, args, { env = {}, cwd = ROOT } = {}) {
  try {
    const { stdout } = await execute(program, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (failure) {
    throw new Error(`${program} ${args.join(' ')}\n${failure.stdout ?? ''}${failure.stderr ?? failure.message}`);
  }
}

/** Runs what a package of the project brings, with the Node that runs this. */
export const runPackage = (script, args, more) => run(process.execPath, [join(ROOT, 'node_modules', script), ...args], more);

/** The Python of a virtual environment in `folder` that has a package of this version from PyPI. */
export async function pythonWith(folder, name) {
  const python = join(folder, 'venv', 'bin', 'python');
  const installed = join(folder, 'venv', `${name}.installed`);
  if (existsSync(installed)) return python;
  try {
    await run('python3', ['-m', 'venv', join(folder, 'venv')]);
  } catch (cause) {
    throw new Error('This test needs Python 3.10 or later with venv and pip (on Debian: apt install python3-venv).', { cause });
  }
  await run(python, ['-m', 'pip', 'install', '--quiet', name]);
  writeFileSync(installed, '');
  return python;
}

/** What a generated client is told of a tenant. */
export async function tenantFor(stack, home) {
  return { CELAEST_URL: stack.url, CELAEST_TOKEN: await home.token('developer'), CELAEST_PLAN: PLANS.free };
}
