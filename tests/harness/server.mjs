// A PostgreSQL server with PgBouncer before it, as a copy of one that was prepared once: with the schema,
// the roles and the sample data in a template database.

import { appendFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { SEEDS, createDatabase, migrate, seed, setAppPassword, withClient } from '../../scripts/lib/database.mjs';
import { APP_ROLE, Cluster, OWNER, connectionString } from '../../scripts/lib/postgres.mjs';
import { freePort } from '../../scripts/lib/processes.mjs';
import { PgBouncer } from './pgbouncer.mjs';

const TEMPLATE = 'celaest_template';
/** Owns what the migrations make and is no superuser, as docs/deploy.md has it: no function does more here than there. */
export const SCHEMA_OWNER = 'celaest_owner';

// Nobody needs this data after a power cut.
const SETTINGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=300'];

export class Server {
  #passwords;

  constructor({ folder, name, passwords, version }) {
    this.#passwords = passwords;
    this.folder = folder;
    this.name = name;
    this.log = join(folder, `logs/${name}.log`);
    this.cluster = new Cluster({ folder: join(folder, name), password: passwords[OWNER], log: this.log, settings: SETTINGS, version });
  }

  /** Makes the data folder that all others are copies of. */
  static async prepare({ folder, passwords, version, secret, note }) {
    const server = new Server({ folder, name: 'template', passwords, version });
    const { cluster } = server;
    await cluster.initialise();
    await cluster.start(await freePort());
    const url = cluster.ownerUrl(TEMPLATE);
    await withClient(cluster.ownerUrl('postgres'), (client) => (
      client.query(`CREATE ROLE ${SCHEMA_OWNER} LOGIN CREATEROLE PASSWORD '${passwords[SCHEMA_OWNER]}'`)));
    await createDatabase(cluster.ownerUrl('postgres'), TEMPLATE, { owner: SCHEMA_OWNER });
    const lines = await migrate(server.#url(SCHEMA_OWNER, cluster.port, TEMPLATE), note);
    await setAppPassword(url, passwords[APP_ROLE]);
    await seed(url, SEEDS.sample, secret);
    await seed(url, SEEDS.models, secret);
    await cluster.stop();
    return lines.length;
  }

  /** Starts a copy of the prepared server, and its pooler. */
  static async start(options) {
    const server = new Server(options);
    // With the owner it has: servers run as another user when we are root.
    execFileSync('cp', ['-Rp', join(server.folder, 'template'), join(server.folder, server.name)]);
    await server.cluster.initialise();
    await server.cluster.start(await freePort());
    server.pooler = await PgBouncer.start({
      folder: join(server.folder, `${server.name}-pooler`),
      serverPort: server.cluster.port,
      ownerUrl: server.cluster.ownerUrl('postgres'),
      users: Object.keys(options.passwords),
      onLine: (line) => appendFileSync(join(server.folder, `logs/${server.name}-pooler.log`), `${line}\n`),
    });
    return server;
  }

  /** Stops PostgreSQL; the pooler stays. */
  async halt() {
    await this.cluster.stop();
  }

  /** Starts PostgreSQL again unless it runs. */
  async resume() {
    if (this.cluster.service.ended) await this.cluster.start(this.cluster.port);
  }

  async stop() {
    await this.pooler?.service.stop();
    await this.cluster.stop();
  }

  /** Makes a database with the sample data. */
  async createDatabase(name) {
    await this.resume();
    await createDatabase(this.cluster.ownerUrl('postgres'), name, { template: TEMPLATE, owner: SCHEMA_OWNER });
  }

  #url(user, port, database) {
    return connectionString({ user, password: this.#passwords[user], port, database });
  }

  /** The ways into a database: as the superuser, as the schema's owner, as the worker, and as it through the pooler. */
  urls(database) {
    const { port } = this.cluster;
    return {
      ownerUrl: this.cluster.ownerUrl(database), schemaOwnerUrl: this.#url(SCHEMA_OWNER, port, database),
      appUrl: this.#url(APP_ROLE, port, database), poolerUrl: this.#url(APP_ROLE, this.pooler.port, database),
    };
  }
}
