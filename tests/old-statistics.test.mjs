// A statement that handles many rows looks at about as many, whatever PostgreSQL knows of its tables. What it knows is
// often of before: a batch is handed in, and for a minute it counts as one row; a plan made for one row compares
// everything with everything. The tables are filled, everything known of them is forgotten, and the worker's own
// statements are carried out with as much as they may be given. Rows are counted, never time.

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { closeMesh, openMesh, tenant } from './support/ai.mjs';
import { eventually, good } from './support/api.mjs';
import { again, recorder } from './support/statements.mjs';
import { BATCH, batchEnded, handInBatch, minute } from './support/tasks.mjs';

/** Rows of each table. */
const ROWS = 3000;
/** What one statement handles. */
const MANY = 1000;
/** The rows that it may look at: some for each, and a table of this size a few times, but not for each again. */
const most = (handled) => 100 * handled + 10 * ROWS;

const numbers = (count) => Array.from({ length: count }, (_, n) => n + 1);
/** The id of a row that was filled in, as `md5(name || n)::uuid` is. */
const filled = (name, n) => createHash('md5').update(`${name}${n}`).digest('hex');
const own = filled('batch', 1);
const failed = filled('batch', 2);

let stack;
let home;
let log;
let statements;

before(async () => {
  stack = await openMesh();
  home = await tenant(stack);
  log = await recorder(stack);
  const as = home.as.developer;
  const { transactions } = await log.recorded(async () => {
    stack.ai.on({}, { text: 'ok', delay: 500 });
    const batch = await handInBatch(as, { items: numbers(40).map((n) => ({ prompt: `item ${n}` })) });
    await eventually(async () => good(await as('GET', BATCH, { id: batch.id })).completed_tasks > 0);
    good(await as('DELETE', BATCH, { id: batch.id }), 204);
    await batchEnded(as, batch);
    good(await as('POST', `${BATCH}/retry`, { id: batch.id, body: {} }), 202);
    const validation = { license_key: home.license.license_key, ip_address: '192.0.2.9' };
    await fetch(`${stack.url}/api/licenses/validate`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(validation),
    });
    for (const table of ['license_validations', 'license_usage_log']) {
      await eventually(async () => (await stack.pg.query(`SELECT FROM ${table} WHERE license_id = $1`, [home.license.id])).rowCount);
    }
    await eventually(async () => (await stack.pg.query('SELECT FROM outbox_messages WHERE processed_at IS NOT NULL')).rowCount);
    await batchEnded(as, batch);
    await minute(stack);
  });
  statements = transactions.flatMap(({ settings, statements: list }) => list.map((one) => ({ settings, ...one })));
  await fill();
});

after(async () => {
  await log?.end();
  if (stack) await closeMesh(stack);
});

/** Fills the tables, and has everything forgotten that is known of them. */
async function fill() {
  const { rows: tables } = await stack.pg.query(
    "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace");
  // Nobody is to learn anew while this looks.
  await stack.pg.query(tables.map(({ name }) => `ALTER TABLE ${name} SET (autovacuum_enabled = false)`).join(';'));
  const row = `(SELECT * FROM licenses WHERE id = '${home.license.id}') l, generate_series(1, ${ROWS}) n`;
  const tasks = (name, batch, status) => `INSERT INTO processed_tasks (id, organization_id, user_id, license_id, batch_id, batch_index,
      core_request_id, input_type, request, status, completed_at)
    SELECT md5('${name}' || n)::uuid, l.organization_id, '${home.users.developer}', l.id, ${batch ? `'${batch}'` : 'NULL'}, n,
      md5('${name}-call' || n)::uuid, 'task', '{}', '${status}', CASE WHEN '${status}' <> 'pending' THEN now() END FROM ${row}`;
  await stack.pg.query(`
    SELECT set_config('celaest.access', 'system', true);
    INSERT INTO licenses (id, organization_id, plan_id, license_key, status, starts_at)
    SELECT md5('license' || n)::uuid, l.organization_id, l.plan_id, 'filled-' || n, 'active', now() FROM ${row};
    INSERT INTO task_batches (id, organization_id, user_id, license_id, total_tasks)
    SELECT md5('batch' || n)::uuid, '${home.id}', '${home.users.developer}', '${home.license.id}', ${ROWS} FROM generate_series(1, 2) n;
    ${tasks('task', own, 'pending')}; ${tasks('failed', failed, 'failed')}; ${tasks('other', null, 'completed')};
    DELETE FROM ai_task_queue;
    INSERT INTO ai_task_queue (task_id, task_created_at, organization_id, user_id, license_id, batch_id, call_id, lease, attempts)
    SELECT id, created_at, organization_id, user_id, license_id, batch_id, core_request_id, id, 1 FROM processed_tasks WHERE batch_id = '${own}';
    INSERT INTO outbox_messages (id, organization_id, topic, payload, attempts, available_at)
    SELECT md5('message' || n)::uuid, '${home.id}', 'ai.tasks.queued', '{}', 40, now() FROM generate_series(1, ${ROWS}) n;
    -- As it is left by a long batch that is done: large, and with nothing in it.
    DELETE FROM pg_statistic s USING pg_class c WHERE c.oid = s.starelid AND c.relnamespace = 'public'::regnamespace;
    UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace;
    UPDATE pg_class SET reltuples = 1, relpages = pg_relation_size(oid) / current_setting('block_size')::int
    WHERE relname ~ '^(ai_task_queue|outbox_messages)' AND relkind = 'r'`);
}

/** The rows that a statement of the worker looks at with parameters of which some are others: at most so many for each. */
async function looksAt(pattern, handled, others = []) {
  const statement = statements.findLast(({ sql }) => pattern.test(sql));
  assert.ok(statement, `${pattern} was not sent`);
  const params = statement.params.map((value, place) => {
    const other = others[place];
    return other === undefined ? value : other && typeof other === 'object' ? JSON.stringify(other) : other;
  });
  await again(stack, async (server) => {
    await server.as(statement.settings);
    const { rows, text } = await server.looked({ sql: statement.sql, params });
    assert.ok(rows <= most(handled), `${rows} rows are looked at for ${handled}: ${text}`);
    assert.ok(rows >= handled, `only ${rows} rows are looked at: ${statement.sql}`);
  }, { tell: true });
}

test('a batch is cancelled', () => looksAt(/WITH due AS MATERIALIZED[^]+ai_task_queue/, MANY, [own]));

test('a batch is retried', () => looksAt(/WITH t AS \([^]+ai_task_queue/, MANY, [failed]));

for (const [name, how] of [['end', { status: 'completed' }], ['come again', { status: 'retrying', wait_s: 5, hold_s: 1 }]]) {
  const turns = numbers(100).map((n) => ({ task_id: filled('task', n), lease: filled('task', n), outcome: {}, ...how }));
  test(`turns ${name}`, () => looksAt(/WITH told AS[^]+ours AS/, turns.length, [turns]));
}

test('lost tasks are given up', async () => {
  await stack.pg.query('UPDATE ai_task_queue SET is_cancelled = true');
  await looksAt(/UPDATE ai_task_queue q SET lease/, 200);
  await stack.pg.query('UPDATE ai_task_queue SET is_cancelled = false');
});

test('calls are recorded', () => looksAt(/jsonb_to_recordset[^]+\), locked AS[^]+license_usage_log/, MANY, [numbers(MANY).map((n) => ({
  id: randomUUID(), license_id: filled('license', n % 50 + 1), organization_id: home.id, user_id: home.users.developer, kind: 'chat',
  started_at: Date.now(), ended: { at: Date.now(), completed: true, counts: true, cost_micro: 5 }, more: {},
}))]));

test('validations and collisions are written', () => looksAt(/\), line AS/, MANY, [numbers(20).map((part) => ({
  license_id: filled('license', part), bindings: [],
  validations: numbers(MANY / 20).map((n) => ({
    id: randomUUID(), license_id: filled('license', part * n), ip: '192.0.2.1', is_valid: true, created_at: new Date(),
  })),
  collisions: numbers(MANY / 20).map(() => ({
    id: randomUUID(), ip_a: '192.0.2.1', ip_b: '192.0.2.2', severity: 'high', address_count: 4, detected_at: new Date(), suspend: true,
  })),
}))]));

test('what the edge knows is read', () => looksAt(/^WITH wanted AS[^]+licenses/, 100,
  [numbers(100).map((n) => ({ key: `filled-${n}`, waiting: [] }))]));

test('events are handed to webhooks', () => looksAt(/^WITH event AS/, 20, [numbers(20).map((n) => ({
  id: randomUUID(), organization_id: home.id, topic: 'license.updated', payload: { license: { id: filled('license', n) } }, patterns: ['*'],
}))]));

test('messages are noted as sent', () => looksAt(/UPDATE outbox_messages o SET\s+sent_at/, 100,
  [numbers(100).map((n) => ({ id: filled('message', n), failed: false, error: null }))]));

test('messages are noted as dealt with', () => looksAt(/UPDATE outbox_messages SET processed_at/, 100,
  [numbers(100).map((n) => filled('message', n))]));

test('what was sent too often is put aside', () => looksAt(/WITH dead AS/, 100));

test('figures are marked of many tasks after one, with the plan of the one', () => again(stack, async (server) => {
  await server.as(['system'], { superuser: true });
  const change = (count) => server.looked({
    sql: `UPDATE processed_tasks SET tokens_input = 7 WHERE id = ANY (ARRAY(SELECT md5('failed' || n)::uuid FROM generate_series(1, $1::int) n))`,
    params: [String(count)],
  });
  await change(1);
  const { rows, text } = await change(MANY);
  assert.ok(rows <= most(MANY), `${rows} rows are looked at for ${MANY}: ${text}`);
}, { tell: true }));
