// Where things are. Everything that a run leaves behind is in `.celaest/`, except the
// tools: those are shared by all clones on the machine.

import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Local state: database, object storage, passwords, logs. */
export const STATE = join(ROOT, '.celaest');

/** Logs of the programs that the commands run. */
export const LOGS = join(STATE, 'logs');

/** Whether this is `npm run coverage`: its worker counts what is executed, and has a build of its own. */
export const COVERAGE = process.env.CELAEST_COVERAGE === '1';

/** What the worker's build writes; `wrangler.toml` names the file inside. */
export const BUILD = COVERAGE ? join(STATE, 'coverage/build') : join(ROOT, 'build');

/** Variables and secrets of the local worker. */
export const DEV_VARS = join(ROOT, '.dev.vars');

/** Build tools and older PostgreSQLs by name and version, kept outside the project. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'celaest-core');
