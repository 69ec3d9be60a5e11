// The return on AI by day, week and month: what the job writes, against the formulas by hand; once, twice, two at once,
// and after late tasks. And the country of a validation, on its way from the connection into the log.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { createOrganization, createProduct, insertLicense } from './support/world.mjs';

const ROLLUPS = '* * * * *';
const ROI = '27 * * * *';

const stack = await sharedStack();
let home;
let license;
let product;
let model;

const query = async (sql, values) => (await stack.pg.query(sql, values)).rows;
async function measured() {
  await stack.triggerCron(ROLLUPS);
  await stack.triggerCron(ROI);
}
const rowsOf = (table) => query(`SELECT to_jsonb(r) - 'id' AS line FROM ${table} r WHERE organization_id = $1 ORDER BY period_type, period_start, to_jsonb(r)::text`, [home.id]);
const all = async () => [await rowsOf('roi_metrics'), await rowsOf('roi_metrics_parts')];

/** The organization's own row, or that of a part. */
async function row(type, start, part) {
  const [found] = await query(
    part ? `SELECT *, period_start::text AS start, period_end::text AS "end" FROM roi_metrics_parts WHERE organization_id = $1 AND period_type = $2 AND period_start = $3 AND $4 IN (product_id, user_id)`
      : `SELECT *, period_start::text AS start, period_end::text AS "end" FROM roi_metrics WHERE organization_id = $1 AND period_type = $2 AND period_start = $3`,
    part ? [home.id, type, start, part] : [home.id, type, start]);
  return found;
}

const task = (at, { user = home.users.admin, status = 'completed', ms = 60_000, cost = 0.25, tokens = 500 } = {}) => query(
  `INSERT INTO processed_tasks (organization_id, user_id, license_id, model_id, status, tokens_input, tokens_output, cost_usd, execution_time_ms, created_at, completed_at)
   VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $9)`, [home.id, user, license.id, model, status, tokens, cost, ms, at]);

before(async () => {
  home = await createOrganization(stack, { roles: ['admin', 'client'] });
  await query(`UPDATE organizations SET settings = '{"timezone": "America/Mexico_City"}' WHERE id = $1`, [home.id]);
  product = await createProduct(stack, home.id);
  license = await insertLicense(stack, home.id, { product_id: product.id });
  model = (await query('SELECT id FROM ai_models LIMIT 1'))[0].id;
  await query(`INSERT INTO system_config (key, value) VALUES ('analytics.hourly_rate_usd', '30'), ('analytics.manual_minutes_per_task', '20'),
    ('analytics.infrastructure_cost_usd_per_month', '300') ON CONFLICT (key) DO UPDATE SET value = excluded.value`);
});

describe('the rows of a period', () => {
  // A Tuesday not long ago with its Wednesday in the same month. Mexico City is six hours behind: its evening is the
  // next day in UTC.
  const DAY = 86_400_000;
  const date = (ms) => new Date(ms).toISOString().slice(0, 10);
  let tuesday = Math.floor(Date.now() / DAY) * DAY - 10 * DAY;
  while (new Date(tuesday).getUTCDay() !== 2 || date(tuesday).slice(0, 7) !== date(tuesday + DAY).slice(0, 7)) tuesday -= DAY;
  const [THE_DAY, THE_NEXT, WEEK, MONTH] = [date(tuesday), date(tuesday + DAY), date(tuesday - DAY), `${date(tuesday).slice(0, 8)}01`];
  const EVENING = `${THE_NEXT}T03:30:00Z`;
  const NEXT = `${THE_NEXT}T18:00:00Z`;
  const lastOfMonth = new Date(Date.UTC(Number(MONTH.slice(0, 4)), Number(MONTH.slice(5, 7)), 0)).getUTCDate();

  test('are what the formulas say, in the zone of the organization', async () => {
    for (let n = 0; n < 8; n += 1) await task(EVENING);
    await task(EVENING, { user: home.users.client, ms: 240_000 });
    await task(EVENING, { user: home.users.client, status: 'failed', ms: null, cost: 0, tokens: 0 });
    await task(NEXT, { cost: null });
    await measured();

    const day = await row('daily', THE_DAY);
    assert.deepEqual([day.start, day.end], [THE_DAY, THE_DAY]);
    assert.deepEqual([day.tasks_completed, day.tasks_failed, day.success_rate], ['9', '1', '90.00']);
    // 9 × 20 minutes by hand; 9 times the average of (8 × 1 + 4) / 9 minutes by AI.
    assert.deepEqual([day.manual_equivalent_minutes, day.time_saved_minutes], ['180', '168']);
    assert.deepEqual([day.cost_ai, day.cost_manual_equivalent, day.money_saved], ['2.25', '90.00', '87.75']);
    assert.deepEqual([day.total_tokens, day.avg_tokens_per_task, day.avg_execution_time_ms], ['4500', 450, 80_000]);
    assert.ok(day.p95_execution_time_ms >= 240_000 && day.p95_execution_time_ms < 240_000 * 1.05, day.p95_execution_time_ms);
    assert.equal(day.active_users_count, 2);
    assert.deepEqual(
      [day.metadata.timezone, day.metadata.value_generated_usd, day.metadata.time_saved_hours, day.metadata.infrastructure_usd, day.metadata.cost_unknown],
      ['America/Mexico_City', '84.00', '2.80', (300 / lastOfMonth).toFixed(2), 0]);
    assert.deepEqual([day.metadata.revenue_usd, day.metadata.roi_percent, day.metadata.roi_reason], ['0.00', '-100.00', null]);

    const next = await row('daily', THE_NEXT);
    assert.deepEqual([next.tasks_completed, next.cost_ai, next.metadata.cost_unknown], ['1', '0.00', 1]);
    for (const [type, start, end] of [['weekly', WEEK, date(tuesday + 5 * DAY)], ['monthly', MONTH, MONTH.slice(0, 8) + lastOfMonth]]) {
      const longer = await row(type, start);
      assert.deepEqual([longer.end, longer.tasks_completed, longer.tasks_failed, longer.cost_ai], [end, '10', '1', '2.25'], type);
    }
    assert.equal((await row('monthly', MONTH)).metadata.infrastructure_usd, '300.00');
  });

  test('are there for each product and each person too', async () => {
    const whole = await row('daily', THE_DAY);
    const ofProduct = await row('daily', THE_DAY, product.id);
    for (const column of ['tasks_completed', 'time_saved_minutes', 'money_saved', 'total_tokens']) assert.equal(ofProduct[column], whole[column], column);
    const [admin, client] = [await row('daily', THE_DAY, home.users.admin), await row('daily', THE_DAY, home.users.client)];
    assert.deepEqual([admin.tasks_completed, client.tasks_completed, client.tasks_failed, client.success_rate], ['8', '1', '1', '50.00']);
    assert.equal(await row('daily', THE_NEXT, home.users.client), undefined);
  });

  test('are the same when the job runs again, or twice at once', async () => {
    const first = await all();
    const due = () => query('INSERT INTO roi_due (organization_id, quarter) SELECT DISTINCT organization_id, at FROM rollup_ai WHERE span = 15 AND organization_id = $1', [home.id]);
    await due();
    await stack.triggerCron(ROI);
    assert.deepEqual(await all(), first);
    await due();
    await Promise.all([stack.triggerCron(ROI), stack.triggerCron(ROI), stack.triggerCron(ROI)]);
    assert.deepEqual(await all(), first);
    assert.deepEqual(await query('SELECT * FROM roi_due WHERE organization_id = $1', [home.id]), []);
  });

  test('take in what comes late', async () => {
    await task(EVENING, { user: home.users.client });
    await measured();
    assert.equal((await row('daily', THE_DAY)).tasks_completed, '10');
    assert.equal((await row('weekly', WEEK)).tasks_completed, '11');
    assert.equal((await row('daily', THE_DAY, home.users.client)).tasks_completed, '2');
  });

  test('are measured by what the organization says of itself', async () => {
    const before_ = await row('daily', THE_DAY);
    const of = (analytics) => query("UPDATE organizations SET settings = settings || jsonb_build_object('analytics', $2::jsonb) WHERE id = $1", [home.id, JSON.stringify(analytics)]);
    const again = async () => {
      await query('INSERT INTO roi_due (organization_id, quarter) VALUES ($1, $2)', [home.id, EVENING]);
      await stack.triggerCron(ROI);
      return row('daily', THE_DAY);
    };
    await of({ manual_minutes_per_task: 40, infrastructure_cost_usd_per_month: 0 });
    const day = await again();
    assert.deepEqual([day.manual_equivalent_minutes, day.cost_manual_equivalent], ['400', '200.00']);
    assert.deepEqual([day.metadata.infrastructure_usd, day.metadata.hourly_rate_usd, day.metadata.manual_minutes_per_task], ['0.00', 30, 40]);
    await of({});
    const after = await again();
    assert.deepEqual([after.manual_equivalent_minutes, after.money_saved, after.metadata], [before_.manual_equivalent_minutes, before_.money_saved, before_.metadata]);
  });

  test('have no return where nothing was spent, and say why', async () => {
    await query(`DELETE FROM system_config WHERE key = 'analytics.infrastructure_cost_usd_per_month'`);
    await query('UPDATE processed_tasks SET cost_usd = 0 WHERE organization_id = $1', [home.id]);
    await measured();
    const { metadata } = await row('daily', THE_DAY);
    assert.deepEqual([metadata.roi_percent, metadata.roi_reason], [null, 'no_costs']);
    await query("DELETE FROM system_config WHERE key LIKE 'analytics.%'");
  });
});

describe('the country of a validation', () => {
  const KEY = { machine_id: 'analytics' };
  const rows = () => query('SELECT nonce, country FROM license_validations WHERE license_id = $1 ORDER BY nonce', [license.id]);

  test('is what the platform says of the connection', async () => {
    const validate = (nonce, headers) => home.as.admin('POST', '/api/licenses/validate', { body: { ...KEY, license_key: license.license_key, nonce, device_info: { app_version: '3.1.4' } }, headers });
    for (const [nonce, country] of [['1', 'AR'], ['2', 'T1'], ['3', 'XX'], ['4', undefined]]) {
      good(await validate(nonce, country ? { 'cf-ipcountry': country } : {}));
    }
    await eventually(async () => (await rows()).length === 4, 20_000);
    assert.deepEqual((await rows()).map(({ country }) => country), ['AR', 'T1', null, null]);
    await stack.triggerCron(ROLLUPS);
    const counted = await query(`SELECT country, sum(validations)::int AS n FROM analytics_validations($1, 'country', now() - interval '1 hour', now() + interval '1 hour') GROUP BY 1 ORDER BY 1`, [home.id]);
    assert.deepEqual(counted, [{ country: 'AR', n: 1 }, { country: 'T1', n: 1 }, { country: null, n: 2 }]);
    const [version] = await query(`SELECT sum(validations)::int AS n FROM analytics_validations($1, 'version', now() - interval '1 hour', now() + interval '1 hour') WHERE version = '3.1.4'`, [home.id]);
    assert.equal(version.n, 4);
  });
});
