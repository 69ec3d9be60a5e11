// PgBouncer in transaction mode, the stand-in for Hyperdrive: whatever a worker's SQL
// must not rely on (a session, a named statement) fails here as it would there.

import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withClient } from '../../scripts/lib/database.mjs';
import { Service, ask, freePort, portIsFree, run, until } from '../../scripts/lib/processes.mjs';
import { serverUser } from '../../scripts/lib/postgres.mjs';
import { canBeRoot, installDebianPackages } from '../../scripts/lib/rust.mjs';
import { Problem } from '../../scripts/lib/terminal.mjs';

const find = () => ask('sh', ['-c', 'PATH="$PATH:/usr/sbin:/opt/homebrew/bin:/usr/local/bin:/usr/local/sbin"; command -v pgbouncer']);

/** Installs PgBouncer where that is possible; returns a few words for the terminal. */
export async function ensurePgBouncer(note) {
  if (find()) return 'already there';
  const advice = process.platform === 'darwin'
    ? 'PgBouncer is missing: run "brew install pgbouncer", then npm test again.'
    : 'PgBouncer is missing: install it (Debian: sudo apt-get install pgbouncer), then run npm test again.';
  if (ask('brew', ['--version'])) {
    note('brew install pgbouncer');
    await run('brew', ['install', '--quiet', 'pgbouncer'], { note, failure: advice });
  } else {
    if (!ask('apt-get', ['--version']) || !canBeRoot()) throw new Problem(advice);
    await installDebianPackages(['pgbouncer'], note, advice);
  }
  if (!find()) throw new Problem(advice);
  return 'installed';
}

/** A running pooler in front of one server; every database of the server is in it. */
export class PgBouncer {
  /**
   * @param {object} options
   * @param {string} options.folder for its configuration
   * @param {number} options.serverPort where PostgreSQL listens
   * @param {string} options.ownerUrl the server as its superuser, who says how roles prove themselves
   * @param {string[]} options.users the roles that may come
   */
  static async start({ folder, serverPort, ownerUrl, users, onLine }) {
    const pooler = new PgBouncer();
    pooler.port = await freePort();
    const user = serverUser();
    mkdirSync(folder, { recursive: true });
    const file = (name, text) => {
      const path = join(folder, name);
      writeFileSync(path, text, { mode: 0o600 });
      if (user) chownSync(path, user.uid, user.gid);
      return path;
    };
    if (user) chownSync(folder, user.uid, user.gid);
    // What the server itself stores, so that the salt is one and the same, as with the server: given the
    // passwords, PgBouncer would draw another for each connection.
    const secrets = await withClient(ownerUrl, async (client) => {
      const { rows } = await client.query('SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY ($1)', [users]);
      return rows.map(({ rolname, rolpassword }) => `"${rolname}" "${rolpassword}"\n`).join('');
    });
    const authFile = file('users.txt', secrets);
    const configuration = file('pgbouncer.ini', `[databases]
* = host=127.0.0.1 port=${serverPort}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${pooler.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${authFile}
pool_mode = transaction
default_pool_size = 20
max_client_conn = 2000
# What drivers send at the start and a pooler cannot keep.
ignore_startup_parameters = extra_float_digits,options,application_name
# A server that is away is noticed soon, and so is its return.
server_login_retry = 1
server_connect_timeout = 2
query_wait_timeout = 5
server_idle_timeout = 10
log_connections = 0
log_disconnections = 0
log_stats = 0
`);
    pooler.service = await Service.start(find(), [configuration], {
      user, cwd: '/', env: { PATH: process.env.PATH }, patience: 2000, onLine,
    });
    const up = await until(async () => pooler.service.ended || !await portIsFree(pooler.port), 10_000);
    if (!up || pooler.service.ended) throw new Problem('PgBouncer did not start: its messages are in the log of the test run.');
    return pooler;
  }
}
