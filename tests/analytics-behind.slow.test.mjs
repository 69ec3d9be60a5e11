// Facts of a month that nobody has added up yet, as after an import or while the job stands still.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import pg from 'pg';
import { good, refused } from './support/api.mjs';
import { Facts, day } from './support/facts.mjs';
import { sharedStack } from './harness/client.mjs';
import { createOrganization, insertLicense } from './support/world.mjs';

const REPORTS = ['dashboard', 'licenses', 'licenses/validations', 'sales', 'sales/by-product', 'sales/by-period', 'ai-usage', 'ai-usage/by-provider',
  'ai-usage/costs', 'roi', 'roi/by-product', 'users', 'users/active'];
const stack = await sharedStack();
const home = await createOrganization(stack, { roles: ['admin', 'client'] });
const asked = { from: day(31), to: day(1), granularity: 'day' };
const ask = (report, more) => home.as.admin('GET', `/api/analytics/${report}`, { query: { ...asked, ...more } });

/** All reports, without what says when they were asked. */
async function all(more) {
  const found = {};
  for (const report of REPORTS) {
    const { as_of: _, period: { closed: __, ...period }, ...rest } = good(await ask(report, more));
    found[report] = { period, ...rest };
  }
  return found;
}

before(async () => {
  const license = await insertLicense(stack, home.id, { product_id: home.product.id });
  const [{ id: model }] = (await stack.pg.query('SELECT id FROM ai_models LIMIT 1')).rows;
  const at = `'${day(31)}'::timestamptz + make_interval(secs => n * 216)`;
  await new Facts(stack, home).sale(`${day(20)}T10:00:00Z`, 10);
  // One every few minutes, so that no quarter of an hour has none.
  await stack.pg.query(`INSERT INTO processed_tasks (organization_id, user_id, license_id, model_id, status, tokens_input, cost_usd, execution_time_ms, created_at, completed_at)
    SELECT $1, CASE n % 2 WHEN 0 THEN $2 ELSE $3 END::uuid, $4, $5, 'completed', n % 7, 0.01, n % 1000, ${at}, ${at} FROM generate_series(0, 11999) AS n`,
  [home.id, home.users.admin, home.users.client, license.id, model]);
  await stack.pg.query(`INSERT INTO license_validations (license_id, organization_id, ip_address, is_valid, created_at)
    SELECT $1, $2, '192.0.2.1', true, ${at} FROM generate_series(0, 11999) AS n`, [license.id, home.id]);
  await stack.pg.query(`INSERT INTO orders (organization_id, user_id, seller_id, status, currency, subtotal, total, created_at, completed_at)
    SELECT $1, $2, $1, 'completed', 'USD', 1, 1, ${at}, ${at} FROM generate_series(0, 11999) AS n`, [home.id, home.users.admin]);
});

test('every report has its answer all the same, and it is the one that it has later', async () => {
  const [{ marks }] = (await stack.pg.query('SELECT count(DISTINCT (kind, quarter))::int AS marks FROM analytics_marks WHERE organization_id = $1', [home.id])).rows;
  assert.ok(marks >= 4 * 2880, `${marks}`);
  const zones = [{}, { timezone: 'Asia/Kolkata' }];
  const early = [];
  for (const zone of zones) early.push(await all(zone));
  assert.deepEqual([early[0].sales.totals.revenue, early[0]['ai-usage'].totals.requests, early[0]['users/active'].totals.mau], [12_010, 12_000, 2]);
  while (Number((await stack.pg.query('SELECT analytics_aggregate(5000) AS n')).rows[0].n) > 0);
  for (const [n, zone] of zones.entries()) assert.deepEqual(await all(zone), early[n]);
});

test('one that takes too long is asked to come back in a minute', async () => {
  const blocker = new pg.Client({ connectionString: stack.ownerUrl });
  await blocker.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE analytics_marks IN ACCESS EXCLUSIVE MODE');
    const answer = await ask('sales');
    refused(answer, 503, 'SERVICE_UNAVAILABLE');
    assert.equal(answer.headers.get('retry-after'), '60');
  } finally {
    await blocker.end();
  }
  good(await ask('sales'));
});
