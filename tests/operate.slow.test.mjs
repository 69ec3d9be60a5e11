// The database is lost and comes back from a backup, as docs/operate.md has it: what the objects had learnt
// since gives way to what PostgreSQL says, and nothing of it stands in the way.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dirname, join } from 'node:path';
import { caller, good } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { startStack } from './harness/client.mjs';
import { makeWebhook, startReceiver, verified } from './support/receiver.mjs';
import { createOrganization, PLANS, withApiKey } from './support/world.mjs';
import { dropDatabase, withClient } from '../scripts/lib/database.mjs';
import { ask, run } from '../scripts/lib/processes.mjs';
import { schemaForDeployment } from '../scripts/lib/schema.mjs';

const PATIENCE = 30_000;

let stack;
let receiver;

before(async () => {
  receiver = await startReceiver();
  stack = await startStack({ ownServer: true, vars: { SNAPSHOT_TTL_SECONDS: '2' } });
});
after(async () => {
  await receiver?.close();
  await stack?.stop();
});

/** The server beside the stack's database, and the names in it. */
function places() {
  const url = new URL(stack.ownerUrl);
  const name = url.pathname.slice(1);
  const other = (database) => Object.assign(new URL(url), { pathname: `/${database}` }).href;
  return { name, copy: `${name}_backup`, server: other('postgres'), other };
}

/** `pg_dump` and `pg_restore` when they are here and not older than the server. */
async function dumper() {
  const { rows: [{ server_version_num: server }] } = await stack.pg.query('SHOW server_version_num');
  const major = Number(ask('pg_dump', ['--version'])?.match(/(\d+)\./)?.[1] ?? 0);
  return major >= Math.floor(Number(server) / 10_000);
}

// Row-level security holds for the owner too; without these a dump by anybody but a superuser fails.
const env = { ...process.env, PGOPTIONS: '-c celaest.access=system' };

/** Makes a backup; returns what brings it back. Without pg_dump, a copy beside it stands for the dump. */
async function backup(t) {
  const { name, copy, server, other } = places();
  const statement = (sql) => withClient(server, (client) => client.query(sql));
  if (await dumper()) {
    const file = join(dirname(stack.log), `${name}.dump`);
    await run('pg_dump', ['--format=custom', '--enable-row-security', '--no-owner', `--file=${file}`, stack.ownerUrl], { env });
    return async () => {
      await statement(`CREATE DATABASE ${name}`);
      await run('pg_restore', ['--exit-on-error', '--no-owner', `--dbname=${other(name)}`, file], { env });
    };
  }
  t.diagnostic('no pg_dump of this version: a copy of the database stands for the dump');
  await statement(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await statement(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
  await eventuallyHolds(() => statement(`CREATE DATABASE ${copy} TEMPLATE ${name}`), PATIENCE);
  await statement(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
  return () => statement(`CREATE DATABASE ${name} TEMPLATE ${copy}`);
}

/** How many rows each table has. */
async function counted() {
  const { rows } = await stack.pg.query(
    `SELECT relname AS name, (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s', oid::regclass), true, true, '')))[1]::text AS n
     FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1`);
  return Object.fromEntries(rows.map(({ name, n }) => [name, n]));
}

test('a database that is restored from a backup is served at once, as it was then', async (t) => {
  const home = await createOrganization(stack, { roles: ['super_admin', 'admin'] });
  const { admin, super_admin: root } = home.as;
  const nobody = caller(stack);
  const make = async () => good(await admin('POST', '/api/licenses', { body: { plan_id: PLANS.professional } }), 201);
  const validate = async (license, ip = '192.0.2.1') => good(await nobody('POST', '/api/licenses/validate', {
    body: { license_key: license.license_key, ip_address: ip },
  }));
  const kept = await make();
  const revoked = await make();
  const key = await withApiKey(stack, home.users.admin, home.id);
  good(await key('GET', '/api/licenses'));
  const hook = await makeWebhook(admin, receiver.url, ['license.*']);
  for (const license of [kept, revoked]) assert.equal((await validate(license)).valid, true);
  await eventuallyHolds(async () => assert.equal(
    (await stack.pg.query('SELECT FROM license_ip_bindings WHERE license_id = ANY ($1)', [[kept.id, revoked.id]])).rowCount, 2), PATIENCE);
  await stack.triggerCron('2-57/5 * * * *');

  const restore = await backup(t);
  const then = await counted();

  // What happens after the backup is lost with the database.
  const lost = await make();
  assert.equal((await validate(lost)).valid, true);
  assert.equal((await validate(kept, '192.0.2.2')).ip.newly_bound, true);
  good(await admin('POST', '/api/licenses/{id}/revoke', { id: revoked.id, body: { reason: 'test' } }));
  assert.equal((await validate(revoked)).valid, false);
  await eventuallyHolds(async () => assert.equal(
    (await stack.pg.query('SELECT FROM license_ip_bindings WHERE license_id = $1', [kept.id])).rowCount, 2), PATIENCE);
  await stack.triggerCron('2-57/5 * * * *');

  await dropDatabase(places().server, places().name);
  await restore();

  await eventuallyHolds(async () => good(await nobody('GET', '/health/ready')), PATIENCE);
  await eventuallyHolds(async () => assert.deepEqual(await counted(), then), PATIENCE);
  assert.match(await schemaForDeployment(stack.ownerUrl), /^all \d+ migrations are applied$/);

  // Within the age of a snapshot every object says what PostgreSQL says.
  await eventuallyHolds(async () => {
    assert.equal((await validate(kept)).code, 'VALID');
    assert.equal((await validate(lost)).code, 'NOT_FOUND');
    // It was revoked after the backup: who restores revokes again.
    assert.equal((await validate(revoked)).code, 'VALID');
  }, PATIENCE);
  // The lost address takes its slot anew, and PostgreSQL learns of it.
  await validate(kept, '192.0.2.2');
  await eventuallyHolds(async () => assert.equal(
    (await stack.pg.query('SELECT FROM license_ip_bindings WHERE license_id = $1', [kept.id])).rowCount, 2), PATIENCE);

  const listed = good(await key('GET', '/api/licenses')).map(({ id }) => id);
  assert.deepEqual([listed.includes(kept.id), listed.includes(lost.id)], [true, false]);
  good(await admin('POST', '/api/licenses/{id}/revoke', { id: revoked.id, body: { reason: 'again' } }));
  assert.equal((await validate(revoked)).code, 'SUSPENDED');

  const { length } = receiver.requests;
  good(await admin('POST', '/api/webhooks/{id}/test', { id: hook.id, body: {} }), 202);
  await eventuallyHolds(() => verified(receiver.requests.slice(length).find(({ text }) => text.includes('webhook.test')), hook.secret), PATIENCE);

  // The heads of the seals are in objects: what was sealed after the backup is missed.
  const verdict = good(await root('GET', '/api/audit-logs/verify', { query: { organization_id: home.id } }));
  assert.deepEqual([verdict.intact, verdict.break?.kind], [false, 'cut_off']);
  good(await root('POST', '/api/audit-logs/acknowledge', {
    body: { organization_id: home.id, sequence: verdict.break.sequence, reason: 'Restored from a backup' },
  }));
  await eventuallyHolds(async () => {
    await stack.triggerCron('2-57/5 * * * *');
    const whole = good(await root('GET', '/api/audit-logs/verify', { query: { organization_id: home.id } }));
    assert.deepEqual([whole.intact, whole.complete, whole.unsealed, whole.acknowledged.length], [true, true, 0, 1]);
  }, PATIENCE);
});
