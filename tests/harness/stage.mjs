// What a test run stands on, in a folder of its own that goes away with it: a server and workers. It lives
// in the process of `npm test`; test files reach it over HTTP (client.mjs), so that nothing they start can
// outlive them.

import {
  chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync,
} from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dropDatabase } from '../../scripts/lib/database.mjs';
import { freshVars } from '../../scripts/lib/dev-vars.mjs';
import { BUILD, LOGS, ROOT } from '../../scripts/lib/paths.mjs';
import { APP_ROLE, OWNER, randomPassword } from '../../scripts/lib/postgres.mjs';
import { commandOf, freePort } from '../../scripts/lib/processes.mjs';
import { assemble, startSelfHost } from '../../scripts/lib/self-host.mjs';
import { readWorker, startWorker } from '../../scripts/lib/worker.mjs';
import { startStorage } from '../fakes/storage.mjs';
import { startStripe } from '../fakes/stripe.mjs';
import { SCHEMA_OWNER, Server } from './server.mjs';

const PREFIX = 'celaest-test-';

// Limits only get in the way of a test that is not about them.
const UNLIMITED = {
  RATE_LIMIT_PER_MIN: '1000000', VALIDATE_LIMIT_PER_LICENSE: '1000000', VALIDATE_LIMIT_PER_IP: '1000000',
  BROWSE_LIMIT_PER_IP: '1000000',
};

// In memory where there is room: the stores of many objects and databases wait for one disk otherwise, for
// seconds, and with them whoever calls.
const ROOM = 6 * 2 ** 30;
const inMemory = '/dev/shm';
const hasRoom = () => {
  const { bavail, bsize } = statfsSync(inMemory);
  return bavail * bsize > ROOM;
};
const FOLDER = !process.env.TMPDIR && existsSync(inMemory) && hasRoom() ? inMemory : tmpdir();

/** Removes the folders of runs that were killed. */
function sweep() {
  for (const name of readdirSync(FOLDER)) {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : 0;
    if (pid && commandOf(pid) === null) rmSync(join(FOLDER, name), { recursive: true, force: true });
  }
}

export class Stage {
  #stacks = new Map();
  /** Workers that any file may have for itself, one file after the other. */
  #idle = [];
  #count = 0;

  /**
   * @param {string} version of PostgreSQL, whose programs are there
   * @param {object} [options]
   * @param {object} [options.coverage] what counts the lines that the workers execute
   * @param {boolean} [options.selfHost] workers are those that run without Cloudflare
   */
  constructor(version, { coverage, selfHost } = {}) {
    sweep();
    this.version = version;
    this.coverage = coverage;
    this.folder = mkdtempSync(join(FOLDER, `${PREFIX}${process.pid}-`));
    this.selfHost = selfHost ? join(this.folder, 'self-host') : null;
    // The servers run as another user when we are root.
    chmodSync(this.folder, 0o711);
    this.passwords = Object.fromEntries([OWNER, SCHEMA_OWNER, APP_ROLE].map((role) => [role, randomPassword()]));
    this.vars = { ...freshVars(), ...UNLIMITED };
  }

  /** Prepares the database and starts the server that most workers share. */
  async startServer(note) {
    const { folder, passwords, version } = this;
    const applied = await Server.prepare({ folder, passwords, version, secret: this.vars.LICENSE_KEY_SECRET, note });
    this.server = await Server.start({ folder, passwords, version, name: 'postgres' });
    // For files that pay without looking at what the gateway is told; others start their own.
    this.stripe = await startStripe();
    Object.assign(this.vars, { STRIPE_API_URL: this.stripe.url, STRIPE_SECRET_KEY: this.stripe.key });
    this.storage = await startStorage(this.vars.SUPABASE_SERVICE_KEY);
    this.vars.STORAGE_URL = this.storage.url;
    return `${applied} migrations applied, sample data added`;
  }

  /** Keeps this run's bundle: a build that happens meanwhile does not reach the tests. */
  async keepBundle() {
    const folder = join(this.folder, 'bundle');
    cpSync(BUILD, join(folder, 'build'), { recursive: true });
    cpSync(join(ROOT, 'public'), join(folder, 'public'), { recursive: true });
    cpSync(join(ROOT, 'wrangler.toml'), join(folder, 'wrangler.toml'));
    this.worker = await readWorker(folder);
    if (this.selfHost) await assemble(this.selfHost, this.worker);
  }

  /** Starts a worker with a database of its own; see client.mjs for what it is told. */
  async startStack({ ownServer = false, ...wishes } = {}) {
    this.#count += 1;
    const id = String(this.#count);
    const { folder, passwords, version } = this;
    const server = ownServer ? await Server.start({ folder, passwords, version, name: `postgres-${id}` }) : this.server;
    const stack = {
      id, server, ownServer, folder: join(folder, `worker-${id}`), database: `celaest_stack_${id}`,
      log: join(folder, `logs/worker-${id}.log`), port: await freePort(), vars: { ...this.vars },
    };
    this.#stacks.set(id, stack);
    await server.createDatabase(stack.database);
    await this.#run(stack, wishes);
    return this.#describe(stack);
  }

  async #run(stack, { vars = {}, waitReady = true, databaseUrl = stack.server.urls(stack.database).poolerUrl }) {
    for (const [name, value] of Object.entries(vars)) {
      if (value === null) delete stack.vars[name];
      else stack.vars[name] = String(value);
    }
    const start = this.selfHost ? startSelfHost : startWorker;
    stack.worker = await start({
      folder: this.selfHost, worker: this.worker, state: stack.folder, vars: stack.vars, port: stack.port, log: stack.log, waitReady,
      databaseUrl,
      // Its storage goes away with it.
      patience: 0,
    });
  }

  #describe(stack) {
    const { id, vars, log, server, worker: { url, queues }, database } = stack;
    return { id, url, queues, vars, log, serverLog: server.log, ...server.urls(database) };
  }

  /** A worker with the usual variables that nobody else uses until it is given back. */
  async lend() {
    const stack = this.#idle.pop();
    return stack ? this.#describe(stack) : this.startStack();
  }

  /** Takes back what was lent. */
  async giveBack(id) {
    this.#idle.push(this.#stacks.get(id));
  }

  /** Ends a worker, by force or politely, and starts it again on what it had stored. */
  async restart(id, { kill, ...wishes } = {}) {
    const stack = this.#stacks.get(id);
    await this.#take(stack);
    await (kill === 'SIGKILL' ? stack.worker.service.kill() : stack.worker.service.stop(8000));
    await this.#run(stack, wishes);
    return this.#describe(stack);
  }

  async stopStack(id) {
    const stack = this.#stacks.get(id);
    if (!stack) return;
    this.#stacks.delete(id);
    await this.#take(stack);
    await stack.worker?.service.stop();
    if (stack.ownServer) await stack.server.stop();
    else await dropDatabase(stack.server.cluster.ownerUrl('postgres'), stack.database);
    rmSync(stack.folder, { recursive: true, force: true });
  }

  /** Notes what a worker executed before it ends. */
  async #take({ worker }) {
    if (worker && !worker.service.ended) await this.coverage?.take(worker.url);
  }

  /** Notes what all workers executed that are there. */
  async takeCoverage() {
    for (const stack of this.#stacks.values()) await this.#take(stack);
  }

  /** The server of a stack that has one of its own. */
  #ownServer(id) {
    const { server, ownServer } = this.#stacks.get(id);
    if (!ownServer) throw new Error('other workers use this server: start the stack with ownServer');
    return server;
  }

  /** Opens the door for test files; resolves to its address. */
  async listen() {
    const calls = {
      lend: () => this.lend(),
      giveBack: ({ id }) => this.giveBack(id),
      start: ({ wishes }) => this.startStack(wishes),
      restart: ({ id, wishes }) => this.restart(id, wishes),
      stop: ({ id }) => this.stopStack(id),
      stopPostgres: ({ id }) => this.#ownServer(id).halt(),
      startPostgres: ({ id }) => this.#ownServer(id).resume(),
    };
    this.door = http.createServer(async (request, response) => {
      try {
        let text = '';
        for await (const chunk of request) text += chunk;
        const result = await calls[request.url.slice(1)](JSON.parse(text));
        response.end(JSON.stringify({ result: result ?? null }));
      } catch (error) {
        response.end(JSON.stringify({ error: error.message }));
      }
    });
    // Starting a worker may take longer than the default allows.
    this.door.requestTimeout = 0;
    await new Promise((resolve) => this.door.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${this.door.address().port}`;
  }

  /** Removes the folder, when nothing runs any more; the logs stay in `.celaest/logs/test`. */
  clear() {
    this.stripe?.close();
    this.door?.closeAllConnections();
    this.door?.close();
    this.storage?.close();
    const logs = join(this.folder, 'logs');
    if (existsSync(logs)) {
      const kept = join(LOGS, 'test');
      rmSync(kept, { recursive: true, force: true });
      mkdirSync(kept, { recursive: true });
      cpSync(logs, kept, { recursive: true });
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
