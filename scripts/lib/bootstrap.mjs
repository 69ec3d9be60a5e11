// The first thing every command does: the npm packages, then Node 22. Nothing here may
// import a package, and all of it must run on Node 20.

import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT, STATE } from './paths.mjs';
import { ask, commandOf, run } from './processes.mjs';
import { Problem, duration, printError } from './terminal.mjs';

const MODULES = join(ROOT, 'node_modules');

// What wrangler asks for.
const MINIMUM = [22, 12];

/** Whether a version such as `22.12.0` is new enough for wrangler. */
function isNewEnough(version) {
  const [major, minor] = (version ?? '').replace(/^v/, '').split('.').map(Number);
  return major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);
}

/** Whether node_modules holds what the lock file names. */
function packagesAreInstalled() {
  const read = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
  const installed = join(MODULES, '.package-lock.json');
  if (!existsSync(installed)) return false;
  try {
    const have = read(installed);
    return Object.entries(read(join(ROOT, 'package-lock.json'))).every(([path, wanted]) => (
      path === '' || (wanted.optional && !have[path]) || have[path]?.version === wanted.version));
  } catch {
    return false;
  }
}

/** Throws unless the project's folder, and what earlier commands left in it, can be written to. */
function checkFolders() {
  for (const folder of [ROOT, STATE].filter((path) => existsSync(path))) {
    try {
      accessSync(folder, constants.W_OK);
    } catch ({ code }) {
      throw new Problem(`${folder} cannot be written to (${code}): change its owner or its permissions, or move the project to a folder of yours.`);
    }
  }
}

/** npm as this process can call it: `npm start` says which one it is. */
export function npm() {
  const script = process.env.npm_execpath;
  return script?.endsWith('npm-cli.js') ? [process.execPath, [script]] : ['npm', []];
}

/** Installs the packages of the lock file, visibly. */
async function installPackages(note) {
  const [command, first] = npm();
  const describe = (line) => {
    if (/http fetch|http cache/.test(line)) return `fetching ${line.split('/').slice(3).join('/').split(' ')[0]}`;
    return line;
  };
  try {
    await run(command, [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=http'], {
      cwd: ROOT, note, every: 5, describe,
    });
  } catch (error) {
    const reason = (error.tail ?? []).filter((line) => /npm (error|ERR!)/.test(line) && !/log of this run/.test(line));
    throw new Problem(`${reason.slice(0, 5).join('\n')}\n\n`
      + 'npm could not install the packages: check the network and the registry (npm ping), then run the same command again.');
  }
}

/** The Node 22 of the packages, installed now if npm did not run its install script. */
async function packagedNode(note) {
  const home = join(MODULES, 'node');
  const program = join(home, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  const works = () => isNewEnough(ask(program, ['--version']));
  if (works()) return program;
  if (existsSync(home)) {
    note('npm did not run the install script of the package node: running it now');
    await run(process.execPath, ['installArchSpecificPackage'], { cwd: home, note }).catch(() => {});
    if (works()) return program;
  }
  return null;
}

/**
 * Sees to the packages and to Node 22, then runs `main`.
 *
 * On an older Node the command is started again on Node 22: this process then only
 * waits for that one, and `main` does not run here.
 *
 * @param {(info: {packages: string}) => Promise<number | void>} main returns the exit code
 */
export async function bootstrap(main) {
  try {
    if (process.platform === 'win32') {
      throw new Problem('Windows is not supported directly: run this inside WSL (wsl --install).');
    }
    checkFolders();
    let words = process.env.CELAEST_PACKAGES ?? 'already there';
    if (!packagesAreInstalled()) {
      const started = Date.now();
      process.stdout.write('Installing the npm packages (about a minute the first time)\n');
      await installPackages((text) => process.stdout.write(`      ${text}\n`));
      words = `installed in ${duration(Date.now() - started)}`;
    }
    const node = await packagedNode((text) => process.stdout.write(`      ${text}\n`));
    if (!node && !isNewEnough(process.versions.node)) {
      throw new Problem(`Node ${MINIMUM.join('.')} is needed and could not be installed from npm: `
        + `install it (this is ${process.versions.node}) and run the same command again.`);
    }
    if (!isNewEnough(process.versions.node)) {
      process.exitCode = await continueOn(node, words);
      return;
    }
    // Programs with a `#!/usr/bin/env node` line find this Node first.
    process.env.PATH = `${dirname(process.execPath)}:${join(MODULES, '.bin')}:${process.env.PATH}`;
    process.exitCode = (await main({ packages: words })) ?? 0;
  } catch (error) {
    printError(error);
    process.exitCode = 1;
  }
}

/** Runs the same command on another Node and waits for it. */
function continueOn(node, words) {
  return new Promise((resolve, reject) => {
    // The channel tells the other process when this one is killed.
    const child = spawn(node, process.argv.slice(1), {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, CELAEST_PACKAGES: words },
    });
    // Ctrl-C reaches both processes; the other one cleans up, this one waits.
    process.on('SIGINT', () => {});
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** Calls `stop` once when this process should end: a signal, or its parent was killed. */
export function onStop(stop) {
  let called = false;
  const once = (reason) => {
    if (called) return;
    called = true;
    stop(reason);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => once(signal));
  if (process.channel) {
    process.on('disconnect', () => once('disconnect'));
    process.channel.unref();
  }
  // npm cannot tell us when it is killed.
  const npmProcess = process.env.npm_lifecycle_event ? npmAbove() : null;
  if (npmProcess) setInterval(() => commandOf(npmProcess) === null && once('disconnect'), 1000).unref();
}

/** The process id of the npm that runs this command, or null: a shell may be between. */
function npmAbove() {
  let pid = process.ppid;
  for (let level = 0; level < 4 && pid > 1; level += 1) {
    if (/(^|\/)npm( |$)|npm-cli\.js/.test(commandOf(pid) ?? '')) return pid;
    pid = Number(ask('ps', ['-o', 'ppid=', '-p', String(pid)]) ?? parentFromProc(pid));
  }
  return null;
}

/** The parent of a process where there is no ps. */
function parentFromProc(pid) {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8').match(/^PPid:\s+(\d+)/m)[1];
  } catch {
    return 0;
  }
}
