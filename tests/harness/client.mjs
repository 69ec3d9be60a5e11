// What a test file imports: a running worker and the ways to it.
//
//   const stack = await sharedStack();
//   const nobody = caller(stack);                       // support/api.mjs
//   const home = await createOrganization(stack);       // support/world.mjs
//   good(await home.as.admin('GET', '/api/licenses'));

import { readFileSync } from 'node:fs';
import { after } from 'node:test';
import pg from 'pg';
import { startAiProvider } from '../fakes/ai-provider.mjs';

const numbered = (prefix) => (number) => `${prefix}0000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

/** The ids of the sample data, and the random parts of its license keys. */
export const ids = {
  organizations: { acme: numbered(1)(1), globex: numbered(1)(2), initech: numbered(1)(3) },
  users: {
    superAdmin: numbered(2)(1), admin: numbered(2)(2), developer: numbered(2)(3), manager: numbered(2)(4), client: numbered(2)(5),
  },
  plans: { free: numbered(3)(1), starter: numbered(3)(2), professional: numbered(3)(3), enterprise: numbered(3)(4) },
  licenses: { active: numbered(4)(1), trial: numbered(4)(2), suspended: numbered(4)(3) },
  products: { marketing: numbered(5)(1), crm: numbered(5)(2), iot: numbered(5)(3) },
};

/** Calls the stage, in the process of `npm test`. */
async function call(name, content = {}) {
  if (!process.env.CELAEST_STAGE) {
    throw new Error('This test needs a database and a worker: run "npm test -- --only <part of its file name>".');
  }
  const response = await fetch(`${process.env.CELAEST_STAGE}/${name}`, { method: 'POST', body: JSON.stringify(content) });
  const { result, error } = await response.json();
  if (error) throw new Error(`${name}: ${error}`);
  return result;
}

/** A worker and its database. */
class Stack {
  constructor(facts) {
    Object.assign(this, facts);
    /** A pool as the superuser, past row-level security: to arrange and to look. */
    this.pg = new pg.Pool({ connectionString: facts.ownerUrl, max: 5, idleTimeoutMillis: 1000, allowExitOnIdle: true });
    // A server that is stopped on purpose ends idle connections.
    this.pg.on('error', () => {});
    /** The address of the run-time role, without the pooler. */
    this.pgApp = facts.appUrl;
  }

  /** Runs the cron job of an expression in wrangler.toml, at a time if one is given. */
  async triggerCron(cron, time) {
    const query = new URLSearchParams({ cron, ...(time ? { time: String(Number(time)) } : {}) });
    const [door, method] = this.queues ? [`${this.queues}/run`, 'POST'] : [`${this.url}/cdn-cgi/local/scheduled`, 'GET'];
    const response = await fetch(`${door}?${query}`, { method });
    const text = await response.text();
    if (!response.ok) throw new Error(`cron ${cron}: ${response.status} ${text}`);
  }

  /**
   * Ends the worker and starts it on the same port with what it had stored.
   *
   * @param {object} [wishes]
   * @param {'SIGKILL'} [wishes.kill] end the whole process tree at once, as a crash would
   * @param {object} [wishes.vars] variables that change
   * @param {string} [wishes.databaseUrl] another way to its database than straight to the pooler
   */
  async restart(wishes = {}) {
    Object.assign(this, await call('restart', { id: this.id, wishes }));
  }

  /** Stops PostgreSQL (PgBouncer stays); only where the stack was started with `ownServer`. */
  stopPostgres() {
    return call('stopPostgres', { id: this.id });
  }

  /** Starts PostgreSQL again, with its data. */
  startPostgres() {
    return call('startPostgres', { id: this.id });
  }

  /** What the worker has printed so far. */
  logs() {
    return readFileSync(this.log, 'utf8');
  }

  /** Ends the worker and drops its database. */
  async stop() {
    await this.pg.end();
    await call('stop', { id: this.id });
    await this.ai?.close();
  }
}

let shared;
// At the top, for the whole file: within a test or hook it would end with that.
after(async () => {
  await shared?.pg.end();
  if (shared) await call('giveBack', { id: shared.id });
});

/** A worker that this file has to itself, and another file after it. */
export async function sharedStack() {
  shared ??= new Stack(await call('lend'));
  return shared;
}

/**
 * A worker of the test's own, with its own copy of the sample data; about a second.
 *
 * @param {object} [wishes]
 * @param {object} [wishes.vars] variables to change; null leaves one out
 * @param {boolean} [wishes.ownServer] with a PostgreSQL of its own, which can be stopped; 2 s more
 * @param {boolean} [wishes.waitReady] false: do not wait for `/health/ready`
 * @param {boolean|{keys?: Object<string, string[]>}} [wishes.ai] with the providers of fakes/ai-provider.mjs as
 *   `stack.ai`, and these keys for them
 */
export async function startStack({ ai, ...wishes } = {}) {
  if (!ai) return new Stack(await call('start', { wishes }));
  const provider = await startAiProvider();
  const keys = Object.entries(ai.keys ?? {}).map(([name, list]) => [`${name.toUpperCase()}_API_KEYS`, list.join(',')]);
  const vars = { ...provider.vars, ...Object.fromEntries(keys), ...wishes.vars };
  const stack = new Stack(await call('start', { wishes: { ...wishes, vars } }));
  stack.ai = provider;
  return stack;
}
