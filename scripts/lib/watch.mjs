// Builds again when a source changes.

import { watch } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.mjs';
import { duration, printError } from './terminal.mjs';

const SOURCES = ['src', 'durable', 'Cargo.toml', 'migrations'];

/** How long it has to be quiet: editors write several files for one save. */
const QUIET = 250;

/**
 * Watches the sources of the worker and the migrations, until the process ends.
 *
 * @param {object} options
 * @param {(note: () => void) => Promise<string>} options.build puts a new bundle in place, which the worker takes up
 * @param {() => Promise<string>} options.migrate
 * @param {(line: string) => void} options.print
 */
export function watchSources({ build, migrate, print }) {
  let changed = new Set();
  let timer;
  let busy = false;

  async function work() {
    if (busy || !changed.size) return;
    busy = true;
    const [first, ...more] = changed;
    changed = new Set();
    const started = Date.now();
    print(`\n${first}${more.length ? ` and ${more.length} more` : ''} changed: building …`);
    try {
      if ([first, ...more].some((file) => file.startsWith('migrations'))) print(await migrate());
      print(`${await build(() => {})} (${duration(Date.now() - started)})`);
    } catch (error) {
      printError(error);
      print('The last good build goes on.');
    }
    busy = false;
    // What changed meanwhile.
    work();
  }

  for (const source of SOURCES) {
    watch(join(ROOT, source), { recursive: true }, (_, name) => {
      changed.add(source.includes('.') ? source : join(source, name ?? ''));
      clearTimeout(timer);
      timer = setTimeout(work, QUIET);
    });
  }
  print('Watching the sources: each change is built with the fast profile.');
}
