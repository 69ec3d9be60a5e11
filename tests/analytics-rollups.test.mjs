// Adding up: twice, in any order, two at once, killed in the middle, while facts come in; the same rows each time, and
// answers that are right at every moment of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { sharedStack } from './harness/client.mjs';
import { business, dice, vendor } from './support/analytics.mjs';

const DAY = 86_400_000;
const KINDS = ['sales', 'subscriptions', 'ai', 'validations', 'collisions', 'people'];
const SEED = Number(process.env.CELAEST_SEED) || (Date.now() & 0xffffff);

const stack = await sharedStack();
const roll = dice(SEED);
const to = Math.floor(Date.now() / 900_000) * 900_000 - DAY;
const from = to - 40 * DAY;
const clients = [];
let owner;
let it;
let first;

const query = async (sql, values) => (await owner.query(sql, values)).rows;
const marks = async () => (await query('SELECT count(*)::int AS n FROM analytics_marks'))[0].n;
const aggregate = async (most, client = owner) => (await client.query('SELECT analytics_aggregate($1) AS n', [most])).rows[0].n;
const markAll = () => query("SELECT analytics_backfill('-infinity', 'infinity')");
async function finish(most = 500) {
  while (await aggregate(most) > 0);
}
async function connect() {
  // As the system, which sees everything, also where the rows themselves are read.
  const client = new pg.Client({ connectionString: stack.ownerUrl, options: '-c celaest.access=system' });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

/** Every row that was added up, of every organization. */
async function rows() {
  const all = {};
  for (const kind of KINDS) all[kind] = (await query(`SELECT to_jsonb(r)::text AS line FROM rollup_${kind} r`)).map(({ line }) => line).sort();
  return all;
}
const forget = () => Promise.all(KINDS.map((kind) => query(`DELETE FROM rollup_${kind}`)));

before(async () => {
  owner = await connect();
  it = await vendor(owner, roll);
  const made = business(roll, it, { from, to, orders: 60, tasks: 120, validations: 120, collisions: 30, acts: 60, movements: 30 });
  for (const step of made.steps) {
    await step();
    if (roll.chance(0.05)) await aggregate(roll.pick([1, 10, 100]));
  }
  await finish();
  first = await rows();
  for (const kind of KINDS) assert.ok(first[kind].length > 10, kind);
});
after(() => Promise.all(clients.map((client) => client.end().catch(() => {}))));

describe('the same rows come of it', () => {
  test('when all is added up again, and again', async () => {
    for (let time = 0; time < 2; time += 1) {
      await markAll();
      await finish();
      assert.deepEqual(await rows(), first, `seed ${SEED}`);
    }
  });

  test('in any order, in steps of any size', async () => {
    await forget();
    await markAll();
    await query(`WITH gone AS (DELETE FROM analytics_marks RETURNING kind, organization_id, quarter)
      INSERT INTO analytics_marks (kind, organization_id, quarter) SELECT g.kind, g.organization_id, g.quarter FROM gone g, generate_series(1, 2) ORDER BY md5(g.quarter::text || $1)`, [String(SEED)]);
    while (await aggregate(roll.pick([1, 3, 20, 100])) > 0);
    assert.deepEqual(await rows(), first, `seed ${SEED}`);
  });

  test('by several at once', async () => {
    await forget();
    await markAll();
    const workers = await Promise.all(Array.from({ length: 4 }, connect));
    let done = 0;
    await Promise.all(workers.map(async (client) => {
      while (await marks() > 0) done += await aggregate(15, client);
    }));
    assert.ok(done > 0);
    assert.deepEqual(await rows(), first, `seed ${SEED}`);
  });

  test('by one that is killed in the middle, and the next', async () => {
    await markAll();
    const waiting = await marks();
    const victim = await connect();
    await victim.query('BEGIN');
    assert.ok(await aggregate(50, victim) > 0);
    // While it holds its transaction open nobody else is at work, and nobody sees what it did.
    assert.equal(await aggregate(50), 0);
    assert.equal(await marks(), waiting);
    const { rows: [{ pid }] } = await victim.query('SELECT pg_backend_pid() AS pid');
    await query('SELECT pg_terminate_backend($1)', [pid]);
    await victim.end().catch(() => {});
    assert.equal(await marks(), waiting);
    assert.deepEqual(await rows(), first);
    await finish();
    assert.deepEqual(await rows(), first, `seed ${SEED}`);
  });

  test('after changes that are undone', async () => {
    await query('UPDATE processed_tasks SET tokens_input = tokens_input + 5 WHERE organization_id = $1', [it.seller]);
    await finish();
    assert.notDeepEqual((await rows()).ai, first.ai);
    await query('UPDATE processed_tasks SET tokens_input = tokens_input - 5 WHERE organization_id = $1', [it.seller]);
    await query('UPDATE orders SET completed_at = completed_at + interval \'1 hour\' WHERE seller_id = $1 AND completed_at IS NOT NULL', [it.seller]);
    await query('UPDATE orders SET completed_at = completed_at - interval \'1 hour\' WHERE seller_id = $1 AND completed_at IS NOT NULL', [it.seller]);
    await finish();
    assert.deepEqual(await rows(), first, `seed ${SEED}`);
  });
});

test('while facts come in and are added up, every answer is of its own moment', async () => {
  // Both sums in one statement see the same facts.
  const COMPARED = `SELECT (SELECT coalesce(sum(f.requests), 0) FROM analytics_ai($1, 'total', '-infinity', '2100-01-01') f)::int AS answered,
    (SELECT count(*) FROM processed_tasks WHERE organization_id = $1 AND completed_at IS NOT NULL AND status IN ('completed', 'failed'))::int AS there`;
  let writing = true;
  let looked = 0;
  const [writers, reader, worker] = [await Promise.all([connect(), connect(), connect()]), await connect(), await connect()];
  const write = async (client, index) => {
    for (let n = 0; n < 40; n += 1) {
      // Some transactions are long, and commit after what came later was added up.
      await client.query('BEGIN');
      await client.query(`INSERT INTO processed_tasks (organization_id, user_id, status, cost_usd, completed_at)
        SELECT $1, $2, 'completed', 0.5, now() - make_interval(mins => (random() * 30)::int) FROM generate_series(1, 3)`, [it.seller, it.people[index]]);
      if (n % 5 === 0) await client.query('SELECT pg_sleep(0.03)');
      await client.query(n % 7 === 0 ? 'ROLLBACK' : 'COMMIT');
    }
  };
  const readers = async () => {
    while (writing) {
      const { rows: [{ answered, there }] } = await reader.query(COMPARED, [it.seller]);
      assert.equal(answered, there);
      looked += 1;
    }
  };
  const workers = async () => {
    while (writing) await aggregate(roll.pick([1, 2, 100]), worker);
  };
  const others = [readers(), workers()];
  await Promise.all(writers.map(write)).finally(() => { writing = false; });
  await Promise.all(others);
  assert.ok(looked > 10, `${looked} looks`);
  await finish();
  const [{ answered, there }] = await query(COMPARED, [it.seller]);
  assert.equal(answered, there);
});

test('what is past its time is erased, and stays added up', async () => {
  const old = new Date(Date.now() - 340 * DAY);
  // Of before it was as old as that.
  await query(`INSERT INTO rollup_validations SELECT $1, b, s, date_bin(make_interval(mins => s), $2, '2000-01-01 00:00+00'), 'VALID', NULL, NULL, NULL, 5
    FROM unnest(ARRAY['total']) b, unnest(ARRAY[15, 60, 1440]) s`, [it.seller, old]);
  const sum = async () => Number((await query(`SELECT sum(validations) AS n FROM analytics_validations($1, 'total', $2, $3)`,
    [it.seller, new Date(old - DAY), new Date(Number(old) + DAY)]))[0].n);
  assert.equal(await sum(), 5);
  await markAll();
  // A line that comes this late is not added to what cannot be added up again.
  await query('INSERT INTO license_validations (license_id, organization_id, ip_address, is_valid, created_at) VALUES ($1, $2, $3, true, $4)', [it.licenses[0].id, it.seller, '192.0.2.1', old]);
  assert.equal(await sum(), 5);
  await finish();
  assert.equal(await sum(), 5);
});

test('what a subscription is worth in a month is the sum of its movements', async () => {
  const of = () => query(`SELECT movement, movements, plan_id, mrr_delta::float8 AS delta FROM subscription_movements WHERE subscription_id = $1 AND created_at > $2 ORDER BY id`, [it.subscription, new Date(to)]);
  const worth = async () => (await of()).reduce((sum, { delta }) => sum + delta, 0);
  assert.deepEqual((await of()).map(({ movement, delta }) => [movement, delta]), [['new', 20]]);
  const change = async (set, worth_) => {
    await query(`UPDATE subscriptions SET ${set} WHERE id = $1`, [it.subscription]);
    assert.equal(Math.round(await worth() * 1e6) / 1e6, worth_, set);
  };
  await change('unit_price = 45', 30);
  await change("status = 'past_due'", 30);
  await change(`plan_id = '${it.plans[1]}', unit_price = 15`, 10);
  await change("status = 'suspended'", 0);
  await change("status = 'active', unit_price = 40", 26.666667);
  await change("billing_cycle = 'yearly'", 6.666667);
  await change("status = 'ended', ended_at = now()", 0);
  await change('updated_at = now()', 0);
  assert.deepEqual((await of()).map(({ movement, movements }) => [movement, movements]), [
    ['new', 1], ['expansion', 1], ['contraction', 0], ['contraction', 1], ['churn', 1], ['reactivation', 1], ['contraction', 1], ['churn', 1],
  ]);
  const [moved] = await query('SELECT sum(mrr_delta)::float8 AS old FROM subscription_movements WHERE subscription_id = $1 AND plan_id = $2 AND created_at > $3', [it.subscription, it.plans[0], new Date(to)]);
  assert.equal(moved.old, 0);
});
