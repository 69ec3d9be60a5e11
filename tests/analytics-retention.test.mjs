// Sums by quarter of an hour go after their time: what is asked by whole hours is answered as before, the rest is
// refused, and what changes that far back is right at every moment.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { good, refusedFields } from './support/api.mjs';
import { Facts, month } from './support/facts.mjs';
import { startStack } from './harness/client.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { createOrganization, insertLicense } from './support/world.mjs';

const CLEAN = '37 2 * * *';
// Of its own: where quarters begin is one for all, and another file's clean-up would have moved it.
const stack = await startStack();
after(() => stack.stop());
const home = await createOrganization(stack, { roles: ['admin'] });
const facts = new Facts(stack, home);
const query = async (sql, values) => (await stack.pg.query(sql, values)).rows;
const ask = async (asked) => good(await home.as.admin('GET', '/api/analytics/sales', { query: { metric: 'revenue', ...asked } }));
const total = async (asked) => (await ask(asked)).totals.revenue;
const values = async (asked) => (await ask(asked)).series[0].points.map(({ value }) => value);
// Until nothing is left to do: it does nothing while the job does it.
const add = async () => { while ((await query('SELECT analytics_aggregate(1000) FROM analytics_marks LIMIT 1')).length); };
const quarters = async () => Number((await query('SELECT count(*) AS n FROM rollup_sales WHERE span = 15 AND at < $1', [month(25)]))[0].n);
const rows = () => query('SELECT to_jsonb(r)::text AS line FROM rollup_sales r ORDER BY 1');

/** Three years ago, and a month that has its quarters still. */
const [OLD, NEXT, RECENT, AFTER] = [36, 35, 25, 24].map(month);
const at = (first, rest) => `${first.slice(0, 8)}${rest}`;
const old = { from: OLD, to: NEXT, granularity: 'day' };
const recent = { from: RECENT, to: AFTER, granularity: 'day' };
const ZONES = ['UTC', 'Europe/Madrid', 'America/Bogota', 'Pacific/Auckland'];

let first;
let order;
const everywhere = async () => Object.fromEntries(await Promise.all(ZONES.map(async (timezone) => [timezone, await values({ ...old, timezone })])));

before(async () => {
  for (const of of [OLD, RECENT]) {
    order = await facts.sale(at(of, '10T18:10:00Z'), 100);
    await facts.sale(at(of, '10T18:40:00Z'), 20);
    await facts.sale(at(of, '10T23:20:00Z'), 3);
  }
  order = (await query('SELECT id FROM orders WHERE seller_id = $1 AND completed_at < $2 AND total = 100', [home.id, NEXT]))[0].id;
  await add();
  first = await everywhere();
});

test('before that they are there, and every zone has its days', async () => {
  assert.ok(await quarters() > 0);
  assert.equal(first.UTC[9], 123);
  const kolkata = await values({ ...old, timezone: 'Asia/Kolkata' });
  assert.deepEqual([kolkata[9], kolkata[10]], [100, 23]);
});

describe('after that', () => {
  before(() => stack.triggerCron(CLEAN));

  test('quarters of more than 25 months ago are gone, whole months of them, and no others', async () => {
    assert.equal(await quarters(), 0);
    assert.ok(Number((await query('SELECT count(*) AS n FROM rollup_sales WHERE span = 15'))[0].n) > 0);
    assert.equal((await query('SELECT since FROM rollup_horizon'))[0].since.toISOString().slice(0, 10), RECENT);
  });

  test('zones that are whole hours away have the same answers', async () => {
    assert.deepEqual(await everywhere(), first);
    assert.deepEqual(await values({ from: at(OLD, '10'), to: at(OLD, '11'), granularity: 'hour' }), Array(24).fill(0).with(18, 120).with(23, 3));
    assert.equal((await values({ ...recent, from: at(RECENT, '02'), timezone: 'Asia/Kolkata' }))[8], 100);
  });

  test('others have none that far back, and are told why', async () => {
    for (const asked of [{ ...old, timezone: 'Asia/Kolkata' }, { from: at(OLD, '10T18:15:00Z'), to: at(OLD, '10T19:00:00Z') }]) {
      const answer = await home.as.admin('GET', '/api/analytics/sales', { query: asked, headers: { 'accept-language': 'es' } });
      refusedFields(answer, 'from');
      assert.match(answer.body.error.details.fields.from[0], /solo se guarda por horas/);
    }
    refusedFields(await home.as.admin('GET', '/api/analytics/export', { query: { ...old, timezone: 'Asia/Kathmandu', report: 'sales' } }), 'from');
  });

  test('what changes that far back is right before it is added up, and after', async () => {
    await facts.sale(at(OLD, '10T18:50:00Z'), 7);
    await facts.refund(order, at(OLD, '11T18:05:00Z'), 100);
    const wanted = (before) => before.with(9, 130).with(10, -100);
    assert.deepEqual(await values(old), wanted(first.UTC));
    assert.deepEqual(await values({ from: at(OLD, '10'), to: at(OLD, '11'), granularity: 'hour' }), Array(24).fill(0).with(18, 127).with(23, 3));
    await add();
    assert.deepEqual(await values(old), wanted(first.UTC));
    assert.equal(await total({ ...old, timezone: 'Europe/Madrid' }), 30);
    assert.equal(await quarters(), 0);
  });

  test('adding all up anew gives the same rows, of hours and days', async () => {
    const before_ = await rows();
    await query("SELECT analytics_backfill('-infinity', 'infinity')");
    assert.equal(await total(old), 30);
    await add();
    assert.deepEqual(await rows(), before_);
  });

  test('keeping them longer brings none back; keeping them shorter takes more', async () => {
    const keep = async (months) => {
      await query("INSERT INTO system_config (key, value) VALUES ('analytics.quarters_kept_months', to_jsonb($1::int)) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [months]);
      await stack.triggerCron(CLEAN);
      return (await query('SELECT since FROM rollup_horizon'))[0].since.toISOString().slice(0, 10);
    };
    assert.equal(await keep(100), RECENT);
    assert.equal(await keep(20), month(20));
    refusedFields(await home.as.admin('GET', '/api/analytics/sales', { query: { ...recent, from: at(RECENT, '02'), timezone: 'Asia/Kolkata' } }), 'from');
    assert.equal(await total(recent), 123);
  });
});

test('facts that were thrown away stay added up, also when facts are kept longer again and all is added up anew', async () => {
  const ago = (days) => new Date(Date.now() - days * 86_400_000);
  const license = await insertLicense(stack, home.id);
  for (let days = 5; days <= 300; days += 5) {
    await query(
      `INSERT INTO license_validations (id, license_id, organization_id, ip_address, is_valid, created_at)
       VALUES (gen_random_uuid(), $1, $2, '192.0.2.1', true, $3)`, [license.id, home.id, ago(days)]);
  }
  await add();
  const validations = async () => good(await home.as.admin('GET', '/api/analytics/licenses/validations', {
    query: { from: ago(310).toISOString().slice(0, 10), to: ago(-1).toISOString().slice(0, 10), metric: 'validations' },
  })).totals.validations;
  const keep = (days) => query("INSERT INTO system_config (key, value) VALUES ('license.validation_retention_days', to_jsonb($1::int)) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [days]);
  assert.equal(await validations(), 60);
  await keep(100);
  await stack.triggerCron(CLEAN);
  await eventuallyHolds(async () => assert.equal((await query('SELECT count(*)::int AS n FROM license_validations'))[0].n, 19));
  assert.equal(await validations(), 60);
  await keep(365);
  await query("SELECT analytics_backfill('-infinity', 'infinity')");
  await add();
  assert.equal(await validations(), 60);
  // A line that comes late, of a time that is gone, is not counted; of one that is there it is.
  for (const days of [200, 40]) {
    await query(
      `INSERT INTO license_validations (id, license_id, organization_id, ip_address, is_valid, created_at)
       VALUES (gen_random_uuid(), $1, $2, '192.0.2.1', true, $3)`, [license.id, home.id, ago(days)]);
  }
  await add();
  assert.equal(await validations(), 61);
});
