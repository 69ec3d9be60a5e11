// Analytics: the numbers of facts that were written down by hand, days that begin where the zone says, comparisons,
// and who sees what.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { counts, good, refusedFields } from './support/api.mjs';
import { Facts, day, month } from './support/facts.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, createOrganization, createProduct, createSuperAdmin, createUser, insert, insertLicense, signedIn, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
const home = await createOrganization(stack);
const other = await createOrganization(stack, { roles: ['admin'] });
const facts = new Facts(stack, home);

const ask = async (path, query, call = home.as.admin) => good(await call('GET', `/api/analytics/${path}`, { query }));
const values = (series) => series.points.map(({ value }) => value);
const line = (report, name) => report.series.find((one) => one.name === name);
const group = (report, by) => report.groups.find((one) => one.by === by).rows;
const valuesOf = (report, by) => Object.fromEntries(group(report, by).map(({ label, values: of }) => [label, of]));
const instants = (series) => series.points.map(({ at }) => new Date(at).toISOString().replace('.000', ''));

describe('what was sold', () => {
  let second;
  let coupon;
  before(async () => {
    second = await createProduct(stack, home.id, { name: '=Second' });
    coupon = { id: randomUUID(), organization_id: home.id, code: 'SPRING', discount_type: 'percentage', discount_value: 10 };
    await insert(stack, 'coupons', coupon);
    const first = await facts.sale('2026-02-03T10:00:00Z', 121, { tax: 21 });
    await facts.sale('2026-02-10T10:00:00Z', 90, { discount: 10, coupon_id: coupon.id });
    await facts.sale('2026-02-10T11:00:00Z', 50, { product: second, plan: PLANS.enterprise, quantity: 5 });
    await facts.sale('2026-02-11T11:00:00Z', 70, { currency: 'EUR' });
    await facts.sale('2026-02-28T23:59:59Z', 0.1);
    // Paid back in the next month.
    await facts.refund(first, '2026-03-02T10:00:00Z', 60.5);
    await insert(stack, 'orders', {
      organization_id: home.id, user_id: home.users.admin, seller_id: home.id, coupon_id: coupon.id, subtotal: 10, total: 10, created_at: '2026-02-12T00:00:00Z',
    });
    await facts.sale('2025-02-05T10:00:00Z', 10);
    await new Facts(stack, other).sale('2026-02-10T10:00:00Z', 1000);
  });
  const february = { from: '2026-02-01', to: '2026-03-01', granularity: 'day' };

  test('orders less refunds, each on its day; days without are zeros', async () => {
    const report = await ask('sales', february);
    assert.deepEqual(report.totals, {
      revenue: 261.1, gross_revenue: 261.1, refunds: 0, net_of_tax: 240.1, tax: 21, discounts: 10, orders: 4, refund_count: 0, units: 8,
      average_order: 65.28, refund_rate: 0,
    });
    assert.deepEqual(report.currencies, ['EUR', 'USD']);
    assert.equal(report.currency, 'USD');
    const revenue = values(line(report, 'revenue'));
    assert.equal(revenue.length, 28);
    assert.deepEqual([revenue[2], revenue[9], revenue[10], revenue[27]], [121, 140, 0, 0.1]);
    assert.equal(revenue.filter((value) => value === 0).length, 25);
    const { from, to, granularity, timezone, compare } = report.period;
    assert.deepEqual({ from, to, granularity, timezone, compare }, { from: '2026-02-01T00:00:00+00:00', to: '2026-03-01T00:00:00+00:00', granularity: 'day', timezone: 'UTC', compare: null });
    assert.ok(Math.abs(Date.now() - new Date(report.as_of)) < 60_000);
  });

  test('a refund counts where it was paid back, and a month is compared with the month before', async () => {
    const report = await ask('sales/by-period', { from: '2026-03-01', to: '2026-04-01', granularity: 'month', compare: 'previous' });
    assert.deepEqual([report.totals.revenue, report.totals.refunds, report.totals.refund_count, report.totals.orders], [-60.5, 60.5, 1, 0]);
    assert.equal(report.totals.average_order, null);
    assert.deepEqual(report.reasons, { average_order: 'no_orders', refund_rate: 'no_orders' });
    assert.deepEqual([report.compare.from, report.compare.to], ['2026-02-01T00:00:00+00:00', '2026-03-01T00:00:00+00:00']);
    assert.equal(report.compare.totals.revenue, 261.1);
    assert.deepEqual(values(line(report.compare, 'revenue')), [261.1]);
  });

  test('a year before, and other currencies', async () => {
    const report = await ask('sales', { ...february, granularity: 'month', compare: 'year', metric: 'revenue' });
    assert.deepEqual([report.totals, report.compare.totals], [{ revenue: 261.1 }, { revenue: 10 }]);
    assert.equal(report.compare.from, '2025-02-01T00:00:00+00:00');
    assert.equal((await ask('sales', { ...february, currency: 'EUR' })).totals.revenue, 70);
    const [first, second] = group(await ask('sales/by-product', { ...february, compare: 'year' }), 'product');
    assert.deepEqual([first.compare.revenue, second.compare], [10, null]);
  });

  test('by product, plan and coupon', async () => {
    const report = await ask('sales/by-product', february);
    assert.deepEqual(report.series.map(({ name, key, unit }) => [name, key, unit]), [['Product', home.product.id, 'USD'], ['=Second', second.id, 'USD']]);
    assert.equal(values(report.series[1])[9], 50);
    const products = valuesOf(report, 'product');
    assert.deepEqual([products.Product.revenue, products.Product.orders, products['=Second'].units], [211.1, 3, 5]);
    assert.deepEqual(valuesOf(report, 'coupon').SPRING, { revenue: 90, discounts: 10, orders: 1, coupon_orders: 2, coupon_orders_paid: 1, coupon_conversion: 0.5 });
    assert.deepEqual(group(report, 'plan').map(({ values: of }) => of.revenue), [211.1, 50]);
    const one = await ask('sales', { ...february, product_id: second.id });
    assert.deepEqual([one.totals.revenue, one.totals.orders, one.filters.product_id], [50, 1, second.id]);
  });

  test('nothing changes when the facts are added up, but that the period is closed', async () => {
    const before = await ask('sales', february);
    assert.equal(before.period.closed, false);
    await stack.pg.query('SELECT analytics_aggregate(100000)');
    const after = await ask('sales', february);
    assert.equal(after.period.closed, true);
    delete before.as_of;
    delete after.as_of;
    assert.deepEqual({ ...after, period: { ...after.period, closed: false } }, before);
  });
});

describe('days begin where the zone says', () => {
  const clock = { id: undefined };
  let local;
  before(async () => {
    local = await createOrganization(stack, { roles: ['admin'] });
    clock.facts = new Facts(stack, local);
    // A dollar in the middle of every hour.
    for (const start of ['2026-03-27T00:30:00Z', '2025-10-24T00:30:00Z']) {
      await stack.pg.query(
        `INSERT INTO orders (organization_id, user_id, seller_id, status, currency, subtotal, total, created_at, completed_at)
         SELECT $1, $2, $1, 'completed', 'USD', 1, 1, at, at FROM generate_series($3::timestamptz, $3::timestamptz + interval '95 hours', '1 hour') AS at`,
        [local.id, local.users.admin, start]);
    }
  });
  const sold = (query) => ask('sales', { metric: 'revenue', ...query }, local.as.admin);

  test('23 and 25 hours where clocks are changed', async () => {
    const spring = await sold({ from: '2026-03-28', to: '2026-03-31', granularity: 'day', timezone: 'Europe/Madrid' });
    assert.deepEqual(values(spring.series[0]), [24, 23, 24]);
    assert.deepEqual(instants(spring.series[0]), ['2026-03-27T23:00:00Z', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z']);
    const autumn = await sold({ from: '2025-10-25', to: '2025-10-28', granularity: 'day', timezone: 'Europe/Madrid' });
    assert.deepEqual(values(autumn.series[0]), [24, 25, 24]);
  });

  test('by hour: as many points as the day has hours, each once', async () => {
    for (const [day, next, hours] of [['2026-03-29', '2026-03-30', 23], ['2025-10-26', '2025-10-27', 25]]) {
      const report = await sold({ from: day, to: next, granularity: 'hour', timezone: 'Europe/Madrid' });
      assert.deepEqual(values(report.series[0]), Array(hours).fill(1));
      assert.equal(new Set(instants(report.series[0])).size, hours);
    }
  });

  test('zones that are 45 minutes away, or 30', async () => {
    await clock.facts.sale('2026-03-10T18:14:59Z', 5);
    await clock.facts.sale('2026-03-10T18:15:00Z', 7);
    const report = await sold({ from: '2026-03-10', to: '2026-03-12', granularity: 'day', timezone: 'Asia/Kathmandu' });
    assert.deepEqual(values(report.series[0]), [5, 7]);
    assert.equal(report.period.from, '2026-03-09T18:15:00+00:00');
    const hours = await sold({ from: '2026-03-10', to: '2026-03-11', granularity: 'hour', timezone: 'Asia/Kathmandu' });
    assert.deepEqual([hours.series[0].points.length, hours.series[0].points.at(-1).value], [24, 5]);
    const india = await sold({ from: '2026-03-28', to: '2026-03-29', granularity: 'hour', timezone: 'Asia/Kolkata' });
    assert.deepEqual(values(india.series[0]), Array(24).fill(1));
  });

  test('weeks begin on Monday, months on their first; the first point begins with the period', async () => {
    const weeks = await sold({ from: '2026-03-25', to: '2026-04-07', granularity: 'week', timezone: 'America/Mexico_City' });
    assert.deepEqual(instants(weeks.series[0]), ['2026-03-25T06:00:00Z', '2026-03-30T06:00:00Z', '2026-04-06T06:00:00Z']);
    assert.equal(values(weeks.series[0]).reduce((sum, value) => sum + value), 96);
    const months = await sold({ from: '2026-03-15', to: '2026-05-02', granularity: 'month', timezone: 'UTC' });
    assert.deepEqual(instants(months.series[0]), ['2026-03-15T00:00:00Z', '2026-04-01T00:00:00Z', '2026-05-01T00:00:00Z']);
  });

  test('moments are taken apart to quarters of an hour, and the answer says so', async () => {
    const report = await sold({ from: '2026-03-28T10:05:00+01:00', to: '2026-03-28T10:16:00Z', granularity: 'hour' });
    assert.deepEqual([report.period.from, report.period.to], ['2026-03-28T09:00:00+00:00', '2026-03-28T10:30:00+00:00']);
    assert.deepEqual(values(report.series[0]), [1, 0]);
  });

  test('the period before, over the day that is too short', async () => {
    const report = await sold({ from: '2026-03-29', to: '2026-03-30', timezone: 'Europe/Madrid', granularity: 'hour', compare: 'previous' });
    assert.deepEqual([report.totals.revenue, report.compare.totals.revenue, report.compare.series[0].points.length], [23, 24, 24]);
  });

  test('thirty days up to the end of today, unless something is said', async () => {
    const { period, series } = await sold({ timezone: 'Pacific/Auckland' });
    assert.equal(series[0].points.length, 30);
    assert.ok(new Date(period.to) > Date.now() && new Date(period.to) - Date.now() <= 86_400_000);
    assert.equal(period.closed, false);
  });
});

describe('AI requests', () => {
  const two = { from: day(40), to: day(38) };
  let model;
  before(async () => {
    model = randomUUID();
    await insert(stack, 'ai_models', { id: model, provider: 'groq', model_id: `m-${model}`, display_name: 'M', cost_per_1k_input: 0.1, cost_per_1k_output: 0.1 });
    for (let n = 1; n <= 100; n++) await facts.task(`${day(40)}T10:00:00Z`, { model_id: model, execution_time_ms: n * 10, cost_usd: 0.01 });
    await facts.task(`${day(39)}T10:00:00Z`, { status: 'failed', cost_usd: null, execution_time_ms: 20, user_id: home.users.client });
    await facts.task(`${day(39)}T10:00:00Z`, { status: 'failed', execution_time_ms: 20, cost_usd: 0, tokens_input: 0, tokens_output: 0 });
  });

  test('requests, errors, tokens, costs and how long they took, within 5 %', async () => {
    const { totals } = await ask('ai-usage', two);
    const { p50_ms, p95_ms, p99_ms, avg_ms, ...rest } = totals;
    assert.deepEqual(rest, {
      requests: 102, completed: 100, failed: 2, error_rate: 0.019608, tokens_input: 10_100, tokens_output: 5050, cost_usd: 1, cost_unknown: 1,
    });
    assert.equal(avg_ms, 495.5);
    for (const [found, exact] of [[p50_ms, 490], [p95_ms, 950], [p99_ms, 990]]) assert.ok(found >= exact * 0.95 && found <= exact * 1.06, `${found} for ${exact}`);
  });

  test('by model, provider and day', async () => {
    const report = await ask('ai-usage/by-provider', { ...two, granularity: 'day' });
    assert.deepEqual(report.series.map(({ name, points }) => [name, points.map(({ value }) => value)]), [['groq', [100, 0]], ['none', [0, 2]]]);
    assert.equal(valuesOf(report, 'model')[`m-${model}`].requests, 100);
    assert.equal((await ask('ai-usage', { ...two, provider: 'groq' })).totals.requests, 100);
    assert.equal((await ask('ai-usage', { ...two, product_id: home.product.id })).totals.requests, 102);
    const costs = await ask('ai-usage/costs', two);
    assert.deepEqual([costs.totals.cost_usd, costs.totals.cost_per_request_usd, costs.totals.cost_per_1k_tokens_usd], [1, 0.00990099, 0.066006601]);
  });
});

describe('licenses', () => {
  /** A day of the month that is asked about. */
  const within = (of) => `${month(3).slice(0, 8)}${of}`;
  let local;
  before(async () => {
    local = await createOrganization(stack, { roles: ['admin', 'client'] });
    const its = new Facts(stack, local);
    const license = (more) => insertLicense(stack, local.id, { product_id: local.product.id, expires_at: null, ...more });
    const kept = await license({ created_at: month(6), owner_id: local.users.client });
    await license({ created_at: month(5), starts_at: month(5), expires_at: within('15') });
    await license({ created_at: within('02'), status: 'cancelled', cancelled_at: within('20') });
    await insert(stack, 'license_collisions', {
      license_id: kept.id, organization_id: local.id, ip_address_a: '192.0.2.1', ip_address_b: '192.0.2.2', detected_at: `${within('05')}T00:00:00Z`,
    });
    const validation = (more) => insert(stack, 'license_validations', {
      license_id: kept.id, organization_id: local.id, ip_address: '192.0.2.1', is_valid: true, created_at: `${within('05')}T12:00:00Z`, ...more,
    });
    await validation({ country: 'ES', device_info: '{"app_version":"1.2.0"}' });
    await validation({ country: 'ES', is_valid: false, failure_reason: 'EXPIRED' });
    await validation({ country: 'MX' });
    await its.movement(`${month(4)}T00:00:00Z`, 'new', 100);
    await its.movement(`${month(4)}T12:00:00Z`, 'new', 50);
    await its.movement(`${within('05')}T00:00:00Z`, 'expansion', 30);
    await its.movement(`${within('06')}T00:00:00Z`, 'churn', -50);
    await its.movement(`${within('07')}T00:00:00Z`, 'contraction', -10);
    await its.movement(`${within('08')}T00:00:00Z`, 'new', 20);
  });
  const asked = { from: month(3), to: month(2), granularity: 'month', compare: 'previous' };

  test('in use, new, expiring; monthly revenue and what was lost of it', async () => {
    const report = await ask('licenses', asked, local.as.admin);
    const { ltv, ...totals } = report.totals;
    assert.deepEqual(totals, {
      active: 1, new: 1, expiring: 1, cancelled: 1, collisions: 1, mrr: 140, arr: 1680, subscribers: 2, new_mrr: 20, reactivation_mrr: 0,
      expansion_mrr: 30, contraction_mrr: 10, churned_mrr: 50, gross_churn_rate: 0.4, net_churn_rate: 0.2,
    });
    // 70 from each in a month, of which 40 % are lost in that of its length.
    const months = (new Date(month(2)) - new Date(month(3))) / 1000 / 2_629_746;
    assert.ok(Math.abs(ltv - 70 / (0.4 / months)) < 0.01, `${ltv}`);
    assert.deepEqual([report.compare.totals.active, report.compare.totals.mrr, report.compare.totals.ltv], [2, 150, null]);
    assert.equal(report.compare.reasons.gross_churn_rate, 'no_mrr_before');
    const status = valuesOf(report, 'status');
    assert.deepEqual(status, { active: { licenses: 2 }, cancelled: { licenses: 1 } });
    assert.deepEqual(valuesOf(report, 'product'), { Product: { licenses: 3 } });
  });

  test('validations by verdict, country and version', async () => {
    const report = await ask('licenses/validations', asked, local.as.admin);
    assert.deepEqual(report.totals, { validations: 3, valid: 2, refused: 1, refusal_rate: 0.333333 });
    assert.deepEqual(report.series.map(({ name, points }) => [name, points[0].value]), [['VALID', 2], ['EXPIRED', 1]]);
    assert.deepEqual(Object.entries(valuesOf(report, 'country')).map(([country, of]) => [country, of.validations]), [['ES', 2], ['MX', 1]]);
    assert.equal(valuesOf(report, 'version')['1.2.0'].validations, 1);
  });

  test('a client sees the own ones', async () => {
    const report = await ask('licenses', asked, local.as.client);
    assert.deepEqual(report.totals, { active: 1, new: 0, expiring: 0, cancelled: 0, collisions: 1 });
    assert.equal(report.filters.user_id, local.users.client);
    assert.equal((await ask('licenses/validations', asked, local.as.client)).totals.validations, 3);
  });
});

describe('people', () => {
  let local;
  before(async () => {
    local = await createOrganization(stack, { roles: ['admin'] });
    const act = (user, at) => insert(stack, 'audit_logs', {
      organization_id: local.id, user_id: user, action: 'read', event: 'test.noted', resource_type: 'test', created_at: at,
    });
    const people = [];
    for (const at of [day(43), day(29), day(24)]) people.push(await createUser(stack, local.id, 'viewer', { created_at: at }));
    await createUser(stack, local.id, 'viewer', { created_at: day(29), invited_at: day(29) });
    const [a, b, c] = people;
    await act(a, `${day(24)}T23:30:00Z`);
    await act(a, `${day(24)}T23:45:00Z`);
    await act(b, `${day(24)}T10:00:00Z`);
    await act(c, `${day(29)}T10:00:00Z`);
  });

  test('within a day, a week and thirty days, by days of the zone', async () => {
    const query = { from: day(30), to: day(20), granularity: 'day' };
    const report = await ask('users/active', query, local.as.admin);
    const found = ['dau', 'wau', 'mau', 'active_users'].map((name) => values(line(report, name)));
    assert.deepEqual(found, [
      [0, 1, 0, 0, 0, 0, 2, 0, 0, 0], [0, 1, 1, 1, 1, 1, 3, 3, 2, 2], [0, 1, 1, 1, 1, 1, 3, 3, 3, 3], [0, 1, 0, 0, 0, 0, 2, 0, 0, 0]]);
    assert.deepEqual(report.totals, { dau: 0, wau: 2, mau: 3, stickiness: 0, active_users: 3 });
    // There it was the next day already.
    const lagos = await ask('users/active', { ...query, timezone: 'Africa/Lagos' }, local.as.admin);
    assert.deepEqual(values(line(lagos, 'dau')), [0, 1, 0, 0, 0, 0, 1, 1, 0, 0]);
  });

  test('whoever comes from elsewhere is nobody of it', async () => {
    const query = { from: day(24), to: day(23), granularity: 'day' };
    const boss = await createSuperAdmin(stack);
    for (const user of [boss, home.users.admin]) {
      await insert(stack, 'audit_logs', {
        organization_id: local.id, user_id: user, action: 'read', event: 'test.noted', resource_type: 'test', created_at: `${day(24)}T12:00:00Z`,
      });
    }
    const { totals } = await ask('users/active', query, local.as.admin);
    assert.deepEqual([totals.dau, totals.active_users], [2, 2]);
    assert.equal((await ask('users', query, local.as.admin)).totals.active_users, 2);
  });

  test('who came, and how many there are', async () => {
    const report = await ask('users', { from: day(34), to: day(24), granularity: 'day' }, local.as.admin);
    assert.deepEqual([report.totals.new_users, report.totals.users], [1, 2]);
    assert.deepEqual(values(line(report, 'users')), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    assert.deepEqual(valuesOf(report, 'role'), { viewer: { new_users: 1 } });
  });
});

describe('what came of what was spent', () => {
  let local;
  const asked = { from: month(3), to: month(2), granularity: 'month' };
  /** A day of that month. */
  const within = (of) => `${month(3).slice(0, 8)}${of}T00:00:00Z`;
  before(async () => {
    local = await createOrganization(stack, { roles: ['admin'] });
    const its = new Facts(stack, local);
    await stack.pg.query(`INSERT INTO system_config (key, value) VALUES ('analytics.manual_minutes_per_task', '12'), ('analytics.hourly_rate_usd', '30'),
      ('analytics.infrastructure_cost_usd_per_month', '0') ON CONFLICT (key) DO UPDATE SET value = excluded.value`);
    const order = await its.sale(within('02'), 120);
    await its.refund(order, within('03'), 20);
    for (let n = 0; n < 10; n++) await its.task(within('04'), { cost_usd: 2, execution_time_ms: 60_000 });
    await its.task(within('04'), { status: 'failed', cost_usd: 0, execution_time_ms: null });
  });

  test('the formulas of the specification', async () => {
    const report = await ask('roi', { ...asked, compare: 'previous' }, local.as.admin);
    assert.deepEqual(report.totals, {
      revenue: 100, costs: 20, cost_ai: 20, cost_infrastructure: 0, profit: 80, roi: 400, tasks_completed: 10, tasks_failed: 1, success_rate: 90.91,
      // 120 minutes of people less 10 of models.
      time_saved_hours: 1.8333, cost_manual_equivalent: 60, money_saved: 40, value_generated_usd: 55,
    });
    assert.equal(report.compare.totals.roi, null);
    assert.deepEqual(report.compare.reasons, { roi: 'no_costs', success_rate: 'no_tasks' });
    assert.deepEqual(values(line(report, 'roi')), [400]);
  });

  test('by product, and with infrastructure', async () => {
    const report = await ask('roi/by-product', asked, local.as.admin);
    assert.equal(valuesOf(report, 'product').Product.roi, 400);
    await stack.pg.query(`UPDATE system_config SET value = '40' WHERE key = 'analytics.infrastructure_cost_usd_per_month'`);
    const { totals } = await ask('roi', asked, local.as.admin);
    assert.deepEqual([totals.cost_infrastructure, totals.costs, totals.profit, totals.roi], [40, 60, 40, 66.67]);
    const two = await ask('roi', { from: '2026-04-30', to: '2026-05-02', granularity: 'week' }, local.as.admin);
    assert.ok(Math.abs(two.totals.cost_infrastructure - (40 / 30 + 40 / 31)) < 0.001);
  });

  test('by what the organization says of itself, and else the system', async () => {
    const set = async (analytics) => good(await local.as.admin('PATCH', '/api/organizations/{id}', { id: local.id, body: { settings: { analytics } } }));
    const totals = async () => (await ask('roi', asked, local.as.admin)).totals;
    await set({ manual_minutes_per_task: 60 });
    // Ten hours of people less ten minutes of models.
    let found = await totals();
    assert.deepEqual([found.time_saved_hours, found.cost_manual_equivalent, found.cost_infrastructure], [9.8333, 300, 40]);
    await set({ manual_minutes_per_task: 60, hourly_rate_usd: 12, infrastructure_cost_usd_per_month: 5 });
    found = await totals();
    assert.deepEqual([found.cost_manual_equivalent, found.money_saved, found.value_generated_usd, found.cost_infrastructure], [120, 100, 118, 5]);
    assert.equal((await ask('roi/by-product', asked, local.as.admin)).totals.money_saved, 100);
    // All together, each by its own.
    const boss = await signedIn(stack, await createSuperAdmin(stack));
    const of = async (query) => (await ask('roi', { ...asked, ...query }, boss)).totals;
    const whole = await of({});
    const others = (await stack.pg.query('SELECT id FROM organizations WHERE deleted_at IS NULL')).rows;
    const each = await Promise.all(others.map(({ id }) => of({ organization_id: id })));
    for (const name of ['cost_manual_equivalent', 'money_saved', 'cost_infrastructure', 'tasks_completed']) {
      const sum = each.reduce((all, one) => all + one[name], 0);
      assert.ok(Math.abs(whole[name] - sum) < 0.05, `${name}: ${whole[name]} and ${sum}`);
    }
    await set(undefined);
    assert.equal((await totals()).cost_manual_equivalent, 60);
  });
});

describe('everything at a glance', () => {
  test('one trip to PostgreSQL', async () => {
    const query = { from: '2026-02-01', to: '2026-03-01', compare: 'previous' };
    await home.as.admin('GET', '/api/analytics/dashboard', { query });
    const answer = await home.as.admin('GET', '/api/analytics/dashboard', { query });
    const report = good(answer);
    assert.equal(counts(answer).db, 1);
    assert.deepEqual([report.totals.revenue, report.totals.orders, report.totals.ai_requests, report.totals.error_rate], [261.1, 4, 0, null]);
    assert.deepEqual(report.reasons, { error_rate: 'no_requests' });
    assert.deepEqual(Object.keys(report.totals), ['revenue', 'orders', 'active_licenses', 'new_users', 'ai_requests', 'error_rate']);
    assert.deepEqual(Object.keys(report.compare.totals), Object.keys(report.totals));
    assert.deepEqual(group(report, 'top_product').map(({ values: of }) => of.revenue), [211.1, 50]);
  });
});

describe('who sees what', () => {
  const two = { from: day(40), to: day(38) };

  test('a manager the reports, everybody else what is their own', async () => {
    for (const role of ['admin', 'manager']) assert.equal((await ask('ai-usage', two, home.as[role])).totals.requests, 102, role);
    const own = await ask('ai-usage', two, home.as.client);
    assert.deepEqual([own.totals.requests, own.totals.failed, own.filters.user_id], [1, 1, home.users.client]);
    assert.deepEqual(own.groups.map(({ by }) => by), ['model']);
    for (const role of ['operator', 'developer', 'viewer']) assert.equal((await ask('ai-usage', two, home.as[role])).totals.requests, 0, role);
    const board = await ask('dashboard', two, home.as.client);
    assert.deepEqual(Object.keys(board.totals), ['active_licenses', 'ai_requests', 'error_rate']);
    assert.deepEqual([board.totals.ai_requests, board.groups], [1, []]);
  });

  test('a key that may only see what is its own', async () => {
    const key = await withApiKey(stack, home.users.admin, home.id, { scopes: ['analytics:own'] });
    assert.equal((await ask('ai-usage', two, key)).totals.requests, 101);
  });

  test('the platform all tenants together, or one of them', async () => {
    const boss = await signedIn(stack, await createSuperAdmin(stack));
    const query = { from: '2026-02-10', to: '2026-02-11', metric: 'revenue' };
    assert.equal((await ask('sales', query, boss)).totals.revenue, 1140);
    assert.equal((await ask('sales', { ...query, organization_id: other.id }, boss)).totals.revenue, 1000);
    assert.equal((await ask('sales', query, other.as.admin)).totals.revenue, 1000);
    refusedFields(await home.as.admin('GET', '/api/analytics/sales', { query: { organization_id: other.id } }), 'organization_id');
  });
});
