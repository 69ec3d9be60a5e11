// What a test run stands on, in a folder of its own that goes away with it: one server
// with PgBouncer before it, and workers. It lives in the process of `npm test`; test
// files reach it over HTTP (client.mjs), so that nothing they start can outlive them.

import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SEEDS, createDatabase, dropDatabase, migrate, seed, setAppPassword } from '../../scripts/lib/database.mjs';
import { freshVars } from '../../scripts/lib/dev-vars.mjs';
import { BUILD, LOGS, ROOT } from '../../scripts/lib/paths.mjs';
import { APP_ROLE, Cluster, OWNER, connectionString, randomPassword } from '../../scripts/lib/postgres.mjs';
import { commandOf, freePort } from '../../scripts/lib/processes.mjs';
import { startWorker } from '../../scripts/lib/wrangler.mjs';
import { PgBouncer } from './pgbouncer.mjs';

const PREFIX = 'celaest-test-';
const TEMPLATE = 'celaest_template';

// Limits only get in the way of a test that is not about them.
const UNLIMITED = {
  RATE_LIMIT_PER_MIN: '1000000', VALIDATE_LIMIT_PER_LICENSE: '1000000', VALIDATE_LIMIT_PER_IP: '1000000',
};

/** Removes the folders of runs that were killed. */
function sweep() {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : 0;
    if (pid && commandOf(pid) === null) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

export class Stage {
  #stacks = new Map();
  #count = 0;

  constructor() {
    sweep();
    this.folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
    // The servers run as another user when we are root.
    chmodSync(this.folder, 0o711);
    this.passwords = { [OWNER]: randomPassword(), [APP_ROLE]: randomPassword() };
    this.vars = { ...freshVars(), ...UNLIMITED };
  }

  /** Starts PostgreSQL and PgBouncer. */
  async startServers() {
    this.cluster = new Cluster({
      folder: join(this.folder, 'postgres'),
      password: this.passwords[OWNER],
      log: join(this.folder, 'logs/postgres.log'),
      // Nobody needs this data after a power cut.
      settings: ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=300'],
    });
    await this.cluster.initialise();
    await this.cluster.start(await freePort());
    this.pooler = await PgBouncer.start({
      folder: join(this.folder, 'pgbouncer'),
      serverPort: this.cluster.port,
      users: this.passwords,
      onLine: (line) => writeFileSync(join(this.folder, 'logs/pgbouncer.log'), `${line}\n`, { flag: 'a' }),
    });
    return `ports ${this.cluster.port} and ${this.pooler.port}`;
  }

  /** Makes the database that every worker gets a copy of. */
  async prepareDatabase(note) {
    const url = this.cluster.ownerUrl(TEMPLATE);
    await createDatabase(this.cluster.ownerUrl('postgres'), TEMPLATE);
    const lines = await migrate(url, note);
    await setAppPassword(url, this.passwords[APP_ROLE]);
    await seed(url, SEEDS.sample, this.vars.LICENSE_KEY_SECRET);
    return `${lines.length} migrations applied, sample data added`;
  }

  /** Keeps this run's bundle: a build that happens meanwhile does not reach the tests. */
  keepBundle() {
    cpSync(BUILD, join(this.folder, 'bundle/build'), { recursive: true });
    cpSync(join(ROOT, 'public'), join(this.folder, 'bundle/public'), { recursive: true });
    cpSync(join(ROOT, 'wrangler.toml'), join(this.folder, 'bundle/wrangler.toml'));
  }

  /** Starts a worker with a database of its own; see client.mjs for what it is told. */
  async startStack(wishes = {}) {
    this.#count += 1;
    const id = String(this.#count);
    const folder = join(this.folder, `worker-${id}`);
    const database = `celaest_stack_${id}`;
    cpSync(join(this.folder, 'bundle'), folder, { recursive: true });
    await this.startPostgres();
    await createDatabase(this.cluster.ownerUrl('postgres'), database, TEMPLATE);
    const stack = { id, folder, database, port: await freePort(), vars: { ...this.vars } };
    this.#stacks.set(id, stack);
    await this.#run(stack, wishes);
    return this.#describe(stack);
  }

  async #run(stack, { vars = {}, waitReady = true }) {
    for (const [name, value] of Object.entries(vars)) {
      if (value === null) delete stack.vars[name];
      else stack.vars[name] = String(value);
    }
    const envFile = join(stack.folder, '.env.test');
    writeFileSync(envFile, Object.entries(stack.vars).map(([name, value]) => `${name}='${value}'\n`).join(''));
    stack.log = join(this.folder, `logs/worker-${stack.id}.log`);
    stack.worker = await startWorker({
      folder: stack.folder, state: join(stack.folder, 'state'), envFile, port: stack.port, log: stack.log, waitReady,
      databaseUrl: this.#appUrl(stack, this.pooler.port),
      // Its storage goes away with it.
      patience: 0,
    });
  }

  #appUrl({ database }, port) {
    return connectionString({ user: APP_ROLE, password: this.passwords[APP_ROLE], port, database });
  }

  #describe(stack) {
    return {
      id: stack.id,
      url: stack.worker.url,
      vars: stack.vars,
      log: stack.log,
      serverLog: this.cluster.log,
      ownerUrl: this.cluster.ownerUrl(stack.database),
      appUrl: this.#appUrl(stack, this.cluster.port),
      poolerUrl: this.#appUrl(stack, this.pooler.port),
    };
  }

  /** Ends a worker, by force or politely, and starts it again on what it had stored. */
  async restart(id, { kill, ...wishes } = {}) {
    const stack = this.#stacks.get(id);
    await (kill === 'SIGKILL' ? stack.worker.service.kill() : stack.worker.service.stop(8000));
    await this.#run(stack, wishes);
    return this.#describe(stack);
  }

  async stopStack(id) {
    const stack = this.#stacks.get(id);
    if (!stack) return;
    this.#stacks.delete(id);
    await stack.worker?.service.stop();
    if (!this.cluster.service.ended) await dropDatabase(this.cluster.ownerUrl('postgres'), stack.database);
    rmSync(stack.folder, { recursive: true, force: true });
  }

  async stopPostgres() {
    await this.cluster.stop();
  }

  /** Starts the server again unless it runs. */
  async startPostgres() {
    if (this.cluster.service.ended) await this.cluster.start(this.cluster.port);
  }

  /** Opens the door for test files; resolves to its address. */
  async listen() {
    const calls = {
      start: ({ wishes }) => this.startStack(wishes),
      restart: ({ id, wishes }) => this.restart(id, wishes),
      stop: ({ id }) => this.stopStack(id),
      stopPostgres: () => this.stopPostgres(),
      startPostgres: () => this.startPostgres(),
    };
    this.server = http.createServer(async (request, response) => {
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
    this.server.requestTimeout = 0;
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  /** Removes the folder, when nothing runs any more; the logs stay in `.celaest/logs/test`. */
  clear() {
    this.server?.closeAllConnections();
    this.server?.close();
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
