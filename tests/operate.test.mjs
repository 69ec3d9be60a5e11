// What an operator relies on: how often may be asked whether all is well, which lines are logged, and that
// nothing is deployed onto a schema it does not fit.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { caller, eventually, good, refused } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { PLANS, createOrganization } from './support/world.mjs';
import { createDatabase, dropDatabase, withClient } from '../scripts/lib/database.mjs';
import { schemaForDeployment } from '../scripts/lib/schema.mjs';

let stack;

before(async () => {
  stack = await startStack({ vars: { RATE_LIMIT_PER_MIN: '5', LOG_LEVEL: 'error' } });
});
after(async () => stack?.stop());

test('an address may ask for the readiness so and so often, and beyond that costs nothing', async () => {
  const ready = (address) => caller(stack)('GET', '/health/ready', { headers: { 'cf-connecting-ip': address } });
  const answers = await Promise.all(Array.from({ length: 70 }, (_, index) => ready(`2001:db8:7::${index.toString(16)}`)));
  const refusals = answers.filter(({ status }) => status === 429);
  assert.equal(refusals.length, 10);
  for (const answer of refusals) {
    refused(answer, 429, 'RATE_LIMITED');
    assert.deepEqual(answer.counts, { db: 0, do: 0 });
    assert.ok(Number(answer.headers.get('retry-after')) >= 1);
  }
  good(await ready('2001:db8:8::1'));
  good(await caller(stack)('GET', '/health/live', { headers: { 'cf-connecting-ip': '2001:db8:7::1' } }));
});

test('what is below LOG_LEVEL is not logged, of requests, jobs and queues alike', async () => {
  await stack.triggerCron('* * * * *');
  await eventually(async () => (await stack.pg.query("SELECT FROM job_runs WHERE name = 'outbox'")).rowCount);
  assert.doesNotMatch(stack.logs(), /"level":"(debug|info|warn)"/);
  await stack.restart({ vars: { LOG_LEVEL: 'info' } });
  await stack.triggerCron('* * * * *');
  await eventually(async () => /"job":"outbox"/.test(stack.logs()));
});

test('a statement ends in PostgreSQL before the worker gives it up', async () => {
  await stack.pg.query(`
    CREATE TABLE patience AS SELECT current_setting('statement_timeout') AS said WHERE false;
    CREATE FUNCTION note_patience() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS
      'BEGIN INSERT INTO patience VALUES (current_setting(''statement_timeout'')); RETURN NEW; END';
    CREATE TRIGGER note_patience AFTER INSERT ON licenses FOR EACH ROW EXECUTE FUNCTION note_patience()`);
  const home = await createOrganization(stack, { roles: ['admin'] });
  good(await home.as.admin('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
  assert.deepEqual((await stack.pg.query('SELECT said FROM patience')).rows, [{ said: '14s' }]);
  await stack.pg.query('DROP TRIGGER note_patience ON licenses; DROP FUNCTION note_patience; DROP TABLE patience');
});

test('a runtime that is killed alone answers again by itself', { skip: !existsSync('/proc') && 'there is no /proc to find it in' }, async () => {
  const { port } = new URL(stack.url);
  const runtime = () => readdirSync('/proc').filter((id) => /^\d+$/.test(id)).find((id) => {
    try {
      const words = readFileSync(`/proc/${id}/cmdline`, 'utf8');
      return words.includes('workerd') && words.includes(`:${port}\0`);
    } catch {
      return false;
    }
  });
  const first = runtime();
  process.kill(Number(first), 'SIGKILL');
  await eventually(() => runtime() !== first && runtime());
  await eventually(async () => (await fetch(`${stack.url}/health/live`).catch(() => ({}))).ok);
});

describe('the schema that a deployment needs', () => {
  const name = `celaest_deploy_${randomBytes(4).toString('hex')}`;
  const server = process.env.DATABASE_URL;
  const url = server && Object.assign(new URL(server), { pathname: `/${name}` }).href;
  before(() => createDatabase(server, name));
  after(() => dropDatabase(server, name));

  const history = (sql) => withClient(url, (client) => client.query(sql));

  test('is missing: nothing is deployed, unless it is applied first', async () => {
    await assert.rejects(schemaForDeployment(undefined), /DATABASE_URL is not set/);
    await assert.rejects(schemaForDeployment(url), /lacks (\d+) of \1 migrations, from V001__foundation on/);
    assert.match(await schemaForDeployment(url, { apply: true }), /^\d+ migrations applied$/);
    assert.match(await schemaForDeployment(url), /^all \d+ migrations are applied$/);
  });

  test('is older, or newer, than the worker: nothing is deployed', async () => {
    await history('CREATE TABLE kept AS SELECT * FROM refinery_schema_history ORDER BY version DESC LIMIT 1');
    await history('DELETE FROM refinery_schema_history WHERE version = (SELECT version FROM kept)');
    await assert.rejects(schemaForDeployment(url), /lacks 1 of \d+ migrations, from V\d+__\w+ on/);
    await history('INSERT INTO refinery_schema_history SELECT * FROM kept');
    await history("INSERT INTO refinery_schema_history SELECT 9999, 'later', applied_on, checksum FROM kept");
    await assert.rejects(schemaForDeployment(url, { apply: true }), /does not know \(V9999__later\)/);
  });

  test('cannot be asked for: said so', async () => {
    const away = Object.assign(new URL(url), { port: '1' }).href;
    await assert.rejects(schemaForDeployment(away), /cannot be asked for its schema: .+/);
  });
});
