// What is added up, against the same question asked of the facts one by one: at random times of adding up, in zones
// with all kinds of offsets, by hour, day, week and month; and revenue against invoices less credit notes, to the cent.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { sharedStack } from './harness/client.mjs';
import { business, dice, vendor } from './support/analytics.mjs';

const DAY = 86_400_000;
const ALL_ZONES = ['UTC', 'Europe/Madrid', 'America/New_York', 'Asia/Kolkata', 'Asia/Kathmandu', 'America/St_Johns', 'Pacific/Chatham', 'Australia/Lord_Howe'];
const SEED = Number(process.env.CELAEST_SEED) || (Date.now() & 0xffffff);

const stack = await sharedStack();
const roll = dice(SEED);
/** Those of this run. */
const ZONES = ['UTC', ...roll.shuffled(ALL_ZONES.slice(1)).slice(0, 3)];
const to = Math.floor(Date.now() / 900_000) * 900_000 - DAY;
const from = to - 200 * DAY;
let it;
let app;
let made;

before(async () => {
  it = await vendor(stack.pg, roll);
  app = new pg.Client({ connectionString: stack.poolerUrl });
  await app.connect();
  made = business(roll, it, { from, to, orders: 120, tasks: 200, validations: 200, collisions: 40, acts: 100, movements: 40 });
  // In any order, with the job at work in between, now and then not to its end.
  for (const [n, step] of made.steps.entries()) {
    await step();
    if (n === Math.floor(made.steps.length * 0.9)) await stack.pg.query('SELECT analytics_aggregate(100000)');
    // As a database of some days knows its tables.
    if (n === Math.floor(made.steps.length * 0.95)) await stack.pg.query('ANALYZE');
    if (roll.chance(0.02)) await stack.pg.query('SELECT analytics_aggregate($1)', [roll.pick([1, 7, 50, 500])]);
  }
});
after(() => app?.end());

/** What tells the rows of each breakdown apart, and what is added up, with its factor to whole numbers. */
const KINDS = {
  sales: {
    breakdowns: {
      total: { currency: 'currency', kind: 'kind' },
      product: { currency: 'currency', kind: 'kind', product_id: 'product', plan_id: 'plan' },
      coupon: { currency: 'currency', kind: 'kind', product_id: 'product', coupon_id: 'coupon' },
    },
    measures: {
      orders: [1, (f) => f.orders], lines: [1, (f) => f.lines], units: [1, (f) => f.units], subtotal: [100, (f) => f.subtotal],
      discount: [100, (f) => f.discount], tax: [100, (f) => f.tax], total: [100, (f) => f.total],
    },
  },
  subscriptions: {
    breakdowns: { total: { currency: 'currency', movement: 'movement' }, product: { currency: 'currency', movement: 'movement', product_id: 'product', plan_id: 'plan' } },
    measures: { movements: [1, () => 1], mrr_delta: [1e6, (f) => f.micro] },
  },
  ai: {
    breakdowns: {
      total: {}, model: { model_id: 'model' }, prompt: { prompt_id: 'prompt' }, key: { api_key_id: 'key' }, product: { model_id: 'model', product_id: 'product' },
      user: { model_id: 'model', user_id: 'user' },
    },
    measures: {
      requests: [1, () => 1], completed: [1, (f) => Number(f.done)], failed: [1, (f) => Number(!f.done)], tokens_input: [1, (f) => f.input],
      tokens_output: [1, (f) => f.output], cost_usd: [1e6, (f) => f.micro ?? 0], cost_unknown: [1, (f) => Number(f.micro === null)],
      timed: [1, (f) => Number(f.ms !== null)], execution_ms: [1, (f) => f.ms ?? 0],
    },
  },
  validations: {
    breakdowns: {
      total: { verdict: 'verdict' }, product: { verdict: 'verdict', product_id: 'product' },
      country: { verdict: 'verdict', product_id: 'product', country: 'country' }, version: { verdict: 'verdict', product_id: 'product', version: 'version' },
    },
    measures: { validations: [1, () => 1] },
  },
  collisions: { breakdowns: { total: { severity: 'severity' }, product: { severity: 'severity', product_id: 'product' } }, measures: { collisions: [1, () => 1] } },
  people: { breakdowns: { user: { user_id: 'user' } }, measures: { acts: [1, () => 1] } },
};

/** As somebody of the organization, whose transactions see nothing else. */
async function asked(sql, values, settings = { access: 'tenant', organization_id: it.seller }) {
  await app.query('BEGIN READ ONLY');
  try {
    for (const [name, value] of Object.entries(settings)) await app.query('SELECT set_config($1, $2, true)', [`celaest.${name}`, value]);
    return (await app.query(sql, values)).rows;
  } finally {
    await app.query('ROLLBACK');
  }
}

/** Where the points of a period begin in a zone, and where the last ends, as PostgreSQL knows it. */
async function bounds(zone, granularity, first, last) {
  const { rows } = await stack.pg.query(
    `SELECT extract(epoch FROM (local AT TIME ZONE $1))::float8 * 1000 AS at
     FROM generate_series(date_trunc($2, to_timestamp($3::float8 / 1000) AT TIME ZONE $1), to_timestamp($4::float8 / 1000) AT TIME ZONE $1, ('1 ' || $2)::interval) AS local`,
    [zone, granularity, first, last]);
  return rows.map(({ at }) => at);
}

/** Sums as they are answered: by point and dimensions. */
async function answered(kind, breakdown, points, organization = it.seller, settings = undefined) {
  const { breakdowns, measures } = KINDS[kind];
  const columns = Object.keys(breakdowns[breakdown]);
  const keys = ['n', ...columns.map((column) => `f.${column}`)];
  const sums = Object.keys(measures).map((name) => `sum(f.${name})::text AS ${name}`);
  const rows = await asked(
    `SELECT ${keys.join(', ')}, ${sums.join(', ')}
     FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS b (since, until, n)
     CROSS JOIN LATERAL analytics_${kind}($3::uuid, '${breakdown}', to_timestamp(b.since / 1000), to_timestamp(b.until / 1000)) AS f
     GROUP BY ${keys.map((_, index) => index + 1).join(', ')}`,
    [points.slice(0, -1), points.slice(1), organization], settings);
  const found = new Map();
  for (const row of rows) {
    const values = Object.entries(measures).map(([name, [factor]]) => Math.round(Number(row[name]) * factor));
    if (values.some((value) => value !== 0)) found.set(JSON.stringify([Number(row.n), ...columns.map((column) => row[column])]), values);
  }
  return found;
}

/** The same of the facts one by one. */
function byHand(kind, breakdown, points, facts = made.facts(kind)) {
  const { breakdowns, measures } = KINDS[kind];
  const found = new Map();
  for (const fact of facts) {
    const n = points.findLastIndex((point) => point <= fact.at) + 1;
    if (n < 1 || n >= points.length) continue;
    const key = JSON.stringify([n, ...Object.values(breakdowns[breakdown]).map((name) => fact[name])]);
    const sums = found.get(key) ?? Object.keys(measures).map(() => 0);
    Object.values(measures).forEach(([, of], index) => { sums[index] += of(fact); });
    found.set(key, sums);
  }
  return new Map([...found].filter(([, values]) => values.some((value) => value !== 0)));
}

const sorted = (map) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

async function reconciles(zones, granularities, seen) {
  const marks = (await stack.pg.query('SELECT count(*)::int AS n FROM analytics_marks WHERE organization_id = $1', [it.seller])).rows[0].n;
  assert.ok(seen(marks), `${marks} marks`);
  for (const zone of zones) {
    for (const granularity of granularities) {
      const first = granularity === 'hour' ? to - 5 * DAY : from;
      const points = await bounds(zone, granularity, first, to);
      for (const [kind, { breakdowns }] of Object.entries(KINDS)) {
        for (const breakdown of Object.keys(breakdowns)) {
          const what = `${kind} by ${breakdown}, each ${granularity} in ${zone} (seed ${SEED})`;
          assert.deepEqual(sorted(await answered(kind, breakdown, points)), sorted(byHand(kind, breakdown, points)), what);
        }
      }
    }
  }
}

describe('every answer is the sum of its facts', () => {
  test('while some of it is not added up yet', () => reconciles([roll.pick(ZONES)], ['day', 'month'], (marks) => marks > 0));

  test('when all of it is', async () => {
    await stack.triggerCron('* * * * *');
    await reconciles(ZONES, ['day', 'hour'], (marks) => marks === 0);
    await reconciles(roll.shuffled(ZONES).slice(0, 3), ['week', 'month'], (marks) => marks === 0);
  });

  test('and when a fact changes afterwards, the very next answer knows', async () => {
    const { rows: [task] } = await stack.pg.query(
      'UPDATE processed_tasks SET cost_usd = 7 WHERE id = (SELECT id FROM processed_tasks WHERE organization_id = $1 AND completed_at IS NOT NULL LIMIT 1) RETURNING completed_at, cost_usd', [it.seller]);
    assert.ok(task.completed_at);
    const whole = [from - DAY, to + DAY];
    const cost = async () => (await asked('SELECT sum(cost_usd)::text AS cost FROM analytics_ai($1, $2, to_timestamp($3), to_timestamp($4))', [it.seller, 'total', whole[0] / 1000, whole[1] / 1000]))[0].cost;
    const { rows: [raw] } = await stack.pg.query('SELECT sum(cost_usd)::text AS cost FROM processed_tasks WHERE organization_id = $1 AND completed_at IS NOT NULL', [it.seller]);
    assert.equal(Number(await cost()), Number(raw.cost));
    await stack.triggerCron('* * * * *');
    assert.equal(Number(await cost()), Number(raw.cost));
  });
});

test('revenue is invoices less credit notes, in every month of every zone', async () => {
  for (const zone of ZONES) {
    const points = await bounds(zone, 'month', from, to);
    const revenue = await answered('sales', 'total', points);
    for (const currency of ['USD', 'EUR']) {
      for (let n = 1; n < points.length; n += 1) {
        const invoiced = made.documents.filter(({ at, currency: of }) => of === currency && at >= points[n - 1] && at < points[n]).reduce((sum, one) => sum + one.total, 0);
        const total = (kind) => revenue.get(JSON.stringify([n, currency, kind]))?.[6] ?? 0;
        assert.equal(total('order') - total('refund'), invoiced, `${currency} in month ${n} in ${zone} (seed ${SEED})`);
      }
    }
  }
  // And as the table of documents itself has them.
  const { rows } = await stack.pg.query(
    `SELECT currency, sum(CASE kind WHEN 'invoice' THEN total ELSE -total END)::text AS total FROM invoices WHERE seller_id = $1 GROUP BY 1`, [it.seller]);
  const whole = await answered('sales', 'total', [from - DAY, to + DAY]);
  for (const { currency, total } of rows) {
    const of = (kind) => whole.get(JSON.stringify([1, currency, kind]))?.[6] ?? 0;
    assert.equal(of('order') - of('refund'), Math.round(Number(total) * 100), currency);
  }
});

test('percentiles are within a step of 5 % of the exact ones', async () => {
  const times = made.facts('ai').map(({ ms }) => ms).filter((ms) => ms !== null).sort((a, b) => a - b);
  for (const part of [0.5, 0.95, 0.99]) {
    const [{ ms }] = await asked(
      'SELECT latency_percentile(latency_all(latency), $5)::int AS ms FROM analytics_ai($1, $2, to_timestamp($3), to_timestamp($4))',
      [it.seller, 'model', from / 1000 - 86_400, to / 1000 + 86_400, part]);
    const exact = times[Math.ceil(part * times.length) - 1];
    assert.ok(ms >= exact && ms <= exact * 1.05 + 1, `p${part * 100} is ${ms}, exactly ${exact}`);
  }
});

describe('who sees what', () => {
  const whole = [from - DAY, to + DAY];

  test('another organization sees nothing, whatever it names; the system sees all', async () => {
    for (const kind of Object.keys(KINDS)) {
      const breakdown = Object.keys(KINDS[kind].breakdowns)[0];
      for (const named of [it.seller, null]) {
        const theirs = await answered(kind, breakdown, whole, named, { access: 'tenant', organization_id: it.buyer });
        assert.deepEqual(sorted(theirs), [], kind);
        assert.deepEqual(sorted(await answered(kind, breakdown, whole, named, {})), [], kind);
      }
      const all = await answered(kind, breakdown, whole, it.seller, { access: 'system' });
      assert.deepEqual(sorted(all), sorted(await answered(kind, breakdown, whole)), kind);
    }
  });

  test('who has not said who it is reads no facts behind a rollup either', async () => {
    await stack.pg.query("SELECT analytics_backfill('-infinity', 'infinity')");
    for (const kind of Object.keys(KINDS)) {
      const [{ organization_id: organization, quarter }] = (await stack.pg.query('SELECT * FROM analytics_marks WHERE kind = $1 AND organization_id = $2 LIMIT 1', [kind, it.seller])).rows;
      const facts = async (settings) => (await asked(
        `SELECT * FROM analytics_${kind}_open($1, $3, $2::timestamptz, $2::timestamptz + interval '15 minutes', ARRAY[$2::timestamptz])`, [organization, quarter, Object.keys(KINDS[kind].breakdowns)[0]], settings)).length;
      for (const settings of [{}, { access: 'tenant' }, { organization_id: organization }, { access: 'tenant', organization_id: it.buyer }]) {
        assert.equal(await facts(settings), 0, `${kind} with ${JSON.stringify(settings)}`);
      }
      assert.ok(await facts({ access: 'tenant', organization_id: organization }) > 0, kind);
    }
  });

  test('a client sees its own AI and nothing of the rest', async () => {
    // Of facts with and without a mark.
    await stack.pg.query('SELECT analytics_backfill(to_timestamp($1), to_timestamp($2))', [from / 1000, (from + 100 * DAY) / 1000]);
    const owner = it.people[1];
    const settings = { access: 'tenant', organization_id: it.seller, owner_id: owner };
    for (const kind of Object.keys(KINDS)) {
      for (const breakdown of Object.keys(KINDS[kind].breakdowns)) {
        const own = breakdown === 'user' ? made.facts(kind).filter(({ user }) => user === owner) : [];
        const seen = await answered(kind, breakdown, whole, it.seller, settings);
        // A fact was changed above; who did what, and how much of it, was not.
        assert.deepEqual(sorted(seen).map(([key, [count]]) => [key, count]), sorted(byHand(kind, breakdown, whole, own)).map(([key, [count]]) => [key, count]), `${kind} by ${breakdown}`);
      }
    }
  });
});
