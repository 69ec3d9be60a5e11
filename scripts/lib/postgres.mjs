// A real PostgreSQL from an npm package, in a folder of its own.

import { randomBytes } from 'node:crypto';
import {
  chownSync, closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { VERSION, packageOf, preparePrograms, programOf } from './postgres-packages.mjs';
import { Service, ask, commandOf, freePort, portIsFree, run, until } from './processes.mjs';
import { Problem } from './terminal.mjs';

/** The superuser of every cluster made here. */
export const OWNER = 'postgres';
/** The role the worker runs as; the migrations create it. */
export const APP_ROLE = 'celaest_app';
/** The database of `npm start`. */
export const DATABASE = 'celaest';

/** A connection string for a server on this machine. */
export function connectionString({ user, password, port, database = DATABASE }) {
  return `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}?sslmode=disable`;
}

/** A password that needs no escaping anywhere. */
export const randomPassword = () => randomBytes(24).toString('base64url');

/**
 * The unprivileged user that servers run as when we are root (PostgreSQL and PgBouncer
 * refuse root), or undefined when we are not root.
 */
export function serverUser(owned) {
  if (process.getuid() !== 0) return undefined;
  // A folder that exists keeps its user, also when another one appears later.
  if (owned && existsSync(owned)) {
    const { uid, gid } = statSync(owned);
    if (uid !== 0) return { uid, gid };
  }
  const name = ['postgres', 'nobody'].find((candidate) => ask('id', ['-u', candidate]) !== null);
  if (!name) throw new Problem('PostgreSQL does not run as root and there is no other user: create one with "useradd postgres" or run this as yourself.');
  return { uid: Number(ask('id', ['-u', name])), gid: Number(ask('id', ['-g', name])) };
}

/** Whether another user can enter a folder: everybody may pass through all its parents. */
function isReachable(folder) {
  for (let path = folder; path !== '/'; path = dirname(path)) {
    if (existsSync(path) && !(statSync(path).mode & constants.S_IXOTH)) return false;
  }
  return true;
}

/**
 * A command line that runs as the server user. Below a folder that is root's alone
 * (a clone in /root) the user gets the one capability it needs to pass through.
 */
function asServerUser(user, command, args, folder) {
  const closed = [dirname(command), dirname(folder)].find((path) => !isReachable(path));
  if (!user || !closed) return { command, args, user };
  if (!ask('setpriv', ['--version'])) {
    throw new Problem(`PostgreSQL does not run as root, and another user cannot enter ${closed}: move the project, for instance to /srv.`);
  }
  return {
    command: 'setpriv',
    args: [
      `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--inh-caps=+dac_override', '--ambient-caps=+dac_override',
      // So that access(2) counts the capability as well.
      '--securebits=+no_setuid_fixup',
      '--', command, ...args,
    ],
  };
}

/** One order of text everywhere, and Unicode letters: what PostgreSQL has by itself since 17, else what the machine has. */
const localeOf = (version) => (Number(version) >= 17
  ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
  : ['--locale=C', `--lc-ctype=${process.platform === 'darwin' ? 'UTF-8' : 'C.UTF-8'}`]);

/** One server: a data folder, a port, a process. */
export class Cluster {
  /**
   * @param {object} options
   * @param {string} options.folder the data folder
   * @param {string} options.password of the superuser; fixed when the folder is made
   * @param {string} options.log file for the server's messages
   * @param {string[]} [options.settings] such as `fsync=off`
   * @param {string} [options.version] of PostgreSQL
   */
  constructor({ folder, password, log, settings = [], version = VERSION }) {
    Object.assign(this, { folder, password, log, settings, version });
  }

  /** Makes the data folder if it is not there; true when it was made now. */
  async initialise() {
    preparePrograms(this.version);
    this.user = serverUser(this.folder);
    if (existsSync(this.folder)) {
      this.#checkVersion();
      return false;
    }
    // Under another name until it is complete: a killed start leaves no half cluster.
    const draft = `${this.folder}.new`;
    const passwordFile = `${this.folder}.password`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { recursive: true, mode: 0o700 });
    writeFileSync(passwordFile, `${this.password}\n`, { mode: 0o600 });
    if (this.user) {
      chownSync(draft, this.user.uid, this.user.gid);
      chownSync(passwordFile, this.user.uid, this.user.gid);
    }
    try {
      const { command, args, user } = asServerUser(this.user, programOf(this.version, 'initdb'), [
        `--pgdata=${draft}`, `--username=${OWNER}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256',
        '--encoding=UTF8', ...localeOf(this.version), '--no-sync',
      ], this.folder);
      await run(command, args, {
        ...user, cwd: '/', env: { PATH: process.env.PATH, TZ: 'UTC' },
        failure: 'PostgreSQL could not prepare its data folder: see the lines above.',
      });
      renameSync(draft, this.folder);
    } finally {
      rmSync(passwordFile, { force: true });
    }
    return true;
  }

  #checkVersion() {
    const file = join(this.folder, 'PG_VERSION');
    const version = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'unknown';
    if (version !== this.version) {
      throw new Problem(`${this.folder} holds data of PostgreSQL ${version}, and this is ${this.version}: run "npm run db:reset" to start over (the local data is lost).`);
    }
    const { uid } = statSync(this.folder);
    if (process.getuid() !== 0 && uid !== process.getuid()) {
      throw new Problem(`${this.folder} belongs to another user (it was made by root): remove it with sudo, or run this as that user.`);
    }
  }

  /** The first lines of postmaster.pid while its server lives, else null. */
  running() {
    const file = join(this.folder, 'postmaster.pid');
    if (!existsSync(file)) return null;
    const lines = readFileSync(file, 'utf8').split('\n');
    const pid = Number(lines[0]);
    // Another program may have the number by now.
    if (!commandOf(pid)?.includes('postgres')) return null;
    return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
  }

  /** Ends a server that a killed run left behind, and its pid file. */
  async stopLeftover() {
    const left = this.running();
    if (left) {
      process.kill(left.pid, 'SIGINT');
      const gone = () => commandOf(left.pid) === null;
      if (!await until(gone, 10_000)) {
        process.kill(left.pid, 'SIGKILL');
        await until(gone, 5000);
      }
    }
    rmSync(join(this.folder, 'postmaster.pid'), { force: true });
    return Boolean(left);
  }

  /** Starts the server and waits until it takes connections. */
  async start(port) {
    await this.stopLeftover();
    this.port = port;
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'timezone=UTC', 'log_timezone=UTC', ...this.settings];
    const { command, args, user } = asServerUser(this.user, programOf(this.version, 'postgres'), [
      '-D', this.folder, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting]),
    ], this.folder);
    mkdirSync(dirname(this.log), { recursive: true });
    const log = openSync(this.log, 'a');
    const lines = [];
    this.service = await Service.start(command, args, {
      // Fast shutdown: sessions are ended, nothing is lost.
      stopSignal: 'SIGINT', user, cwd: '/', env: { PATH: process.env.PATH, TZ: 'UTC' },
      onLine: (line) => {
        lines.push(line);
        if (lines.length > 20) lines.shift();
        writeFileSync(log, `${line}\n`);
      },
    });
    this.service.exit.then(() => closeSync(log));
    const up = await until(() => this.service.ended || this.running()?.ready, 60_000, 20);
    if (!up || this.service.ended) {
      await this.service.stop();
      throw new Problem(`${lines.join('\n')}\n\nPostgreSQL did not start on port ${port}: its last lines are above, all of them in ${this.log}.`);
    }
  }

  /** Ends the server that `start` started. */
  async stop() {
    await this.service?.stop();
  }

  /** A connection string as the superuser. */
  ownerUrl(database) {
    return connectionString({ user: OWNER, password: this.password, port: this.port, database });
  }
}

/**
 * A port for a server: the wanted one, or a free one when it is taken and nobody
 * insisted on it.
 */
export async function choosePort(wanted, fallback, name) {
  if (await portIsFree(wanted ?? fallback)) return wanted ?? fallback;
  if (wanted) throw new Problem(`Port ${wanted} is taken: stop the program that uses it, or set ${name} to another port.`);
  return freePort();
}
