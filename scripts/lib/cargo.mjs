// Programs of the workspace that run on this machine.

import { join } from 'node:path';
import { ROOT } from './paths.mjs';
import { run } from './processes.mjs';

/**
 * Builds a program and returns its path. For the whole workspace, so that what the Rust tests compile is what
 * this needs: dependencies are compiled once for all.
 *
 * @param {'bin' | 'example'} kind
 */
export async function buildProgram(kind, name, { note, failure }) {
  await run('cargo', ['build', '--workspace', `--${kind}`, name], { cwd: ROOT, note, failure });
  return join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug', kind === 'example' ? 'examples' : '', name);
}
