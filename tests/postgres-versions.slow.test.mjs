// Every version of PostgreSQL that the product runs on takes the whole schema, the seeds, and each statement
// that the routes and the jobs send: those are recorded on the version of this run and prepared on the others.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SEEDS, createDatabase, migrate, seed, withClient } from '../scripts/lib/database.mjs';
import { VERSIONS, installPostgres } from '../scripts/lib/postgres-packages.mjs';
import { APP_ROLE, Cluster, randomPassword } from '../scripts/lib/postgres.mjs';
import { freePort } from '../scripts/lib/processes.mjs';
import { caller, eventually, good } from './support/api.mjs';
import { JOBS, WITH_AI, asked, prepared } from './support/called.mjs';
import { recorder } from './support/statements.mjs';
import { furnishedOrganization } from './support/tenants.mjs';
import { PLANS } from './support/world.mjs';
import { startStack } from './harness/client.mjs';

/** Each statement once, and how many parameters it has. */
const statements = new Map();
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'celaest-versions-'));
  chmodSync(folder, 0o711);
  const stack = await startStack(WITH_AI);
  const [ours, theirs] = [await furnishedOrganization(stack), await furnishedOrganization(stack)];
  const log = await recorder(stack);
  // In one piece, so that what queues and objects send meanwhile is in it.
  const { transactions } = await log.recorded(async () => {
    for (const one of asked) {
      for (const role of one.roles) await (await prepared(stack, [ours, theirs], one, role))();
    }
    const license = good(await ours.as.admin('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
    const verdict = good(await caller(stack)('POST', '/api/licenses/validate', {
      body: { license_key: license.license_key, ip_address: '192.0.2.9', machine_id: 'one' },
    }));
    assert.equal(verdict.valid, true);
    for (const job of JOBS) await stack.triggerCron(job);
    const written = (sql, values) => eventually(async () => (await stack.pg.query(sql, values)).rowCount, 60_000);
    await written('SELECT FROM license_validations WHERE license_id = $1', [license.id]);
    await written('SELECT FROM license_ip_bindings WHERE license_id = $1', [license.id]);
    await written('SELECT FROM outbox_messages WHERE processed_at IS NOT NULL');
    await written('SELECT FROM telemetry_events WHERE organization_id = $1', [ours.id]);
  });
  for (const { sql, params } of transactions.flatMap((one) => one.statements)) statements.set(sql, params.length);
  await log.end();
  await stack.stop();
  assert.ok(statements.size > 150, `${statements.size} statements were recorded`);
});
after(() => rmSync(folder, { recursive: true, force: true }));

for (const version of VERSIONS) {
  describe(`PostgreSQL ${version}`, () => {
    let cluster;
    let url;

    before(async () => {
      await installPostgres(version);
      cluster = new Cluster({
        folder: join(folder, version), password: randomPassword(), log: join(folder, `${version}.log`), settings: ['fsync=off'], version,
      });
      await cluster.initialise();
      await cluster.start(await freePort());
      await createDatabase(cluster.ownerUrl('postgres'), 'celaest');
      url = cluster.ownerUrl('celaest');
    });
    after(() => cluster?.stop());

    test('is what it says', () => withClient(url, async (client) => {
      const { rows: [{ server_version: found }] } = await client.query('SHOW server_version');
      assert.equal(found.split('.')[0], version);
    }));

    test('takes the schema and the seeds', async () => {
      const lines = await migrate(url);
      assert.ok(lines.length > 20 && lines.every((line) => line.startsWith('applied ')), lines.join('\n'));
      for (const file of Object.values(SEEDS)) await seed(url, file, 'a secret');
    });

    test('understands every statement', () => withClient(url, async (client) => {
      await client.query(`SET ROLE ${APP_ROLE}`);
      const refused = [];
      for (const [sql, parameters] of statements) {
        if (!/^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\b/i.test(sql)) continue;
        const types = parameters ? `(${Array(parameters).fill('text')})` : '';
        const values = parameters ? `(${Array(parameters).fill('NULL')})` : '';
        try {
          await client.query(`PREPARE one ${types} AS ${sql}`);
          await client.query(`EXPLAIN EXECUTE one ${values}`);
        } catch (error) {
          refused.push(`${error.message}: ${sql.replace(/\s+/g, ' ').slice(0, 400)}`);
        }
        await client.query('DEALLOCATE ALL');
      }
      assert.deepEqual(refused, []);
    }));
  });
}
