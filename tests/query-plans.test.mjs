// No statement reads a whole table that grows without end. The tables are filled, each route is called and
// each job run once, and what they sent is planned again as the run-time role with the caller's settings:
// row-level security decides what an index may be used for.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { JOBS, WITH_AI, asked, prepared, somebody } from './support/called.mjs';
import { again, recorder } from './support/statements.mjs';
import { furnishedOrganization } from './support/tenants.mjs';
import { startStack } from './harness/client.mjs';
import { PLANS, insertLicense } from './support/world.mjs';

/** Rows of each growing table: a fifth of the caller's, the rest of somebody else's. */
const ROWS = 120_000;
/** A relation with more rows than this is not read as a whole. */
const LARGE = 10_000;

const GROWING = ['audit_logs', 'license_validations', 'telemetry_events', 'webhook_deliveries', 'processed_tasks', 'outbox_messages',
  'user_sessions', 'system_events', 'dead_letters', 'idempotency_keys', 'license_ip_bindings'];

let stack;
let a;
let b;
let log;
let large;
let recorded = 0;

before(async () => {
  stack = await startStack(WITH_AI);
  [a, b] = [await furnishedOrganization(stack), await furnishedOrganization(stack)];
  const [mine, theirs] = [await insertLicense(stack, a.id, { plan_id: PLANS.professional }), await insertLicense(stack, b.id)];
  const { rows: [hook] } = await stack.pg.query('SELECT id FROM webhooks WHERE organization_id = $1', [a.id]);
  const { rows: [other] } = await stack.pg.query('SELECT id FROM webhooks WHERE organization_id = $1', [b.id]);
  const fill = (sql) => stack.pg.query(`
    WITH n AS (
      SELECT n, n % 5 = 0 AS own, now() - make_interval(secs => n * 10) AS at FROM generate_series(1, ${ROWS}) AS n
    ), row AS (
      SELECT n, at, CASE WHEN own THEN '${a.id}' ELSE '${b.id}' END::uuid AS org,
        CASE WHEN own THEN '${a.users.admin}' ELSE '${b.users.admin}' END::uuid AS person,
        CASE WHEN own THEN '${mine.id}' ELSE '${theirs.id}' END::uuid AS license,
        CASE WHEN own THEN '${hook.id}' ELSE '${other.id}' END::uuid AS webhook FROM n
    ) ${sql}`);
  await fill(`INSERT INTO audit_logs (organization_id, user_id, action, event, resource_type, resource_id, changes, created_at)
    SELECT org, person, 'update', 'license.updated', 'license', license, '{"after": {"a": 1}}', at FROM row`);
  await fill(`INSERT INTO license_validations (license_id, organization_id, ip_address, is_valid, created_at)
    SELECT license, org, '192.0.2.1', true, at FROM row`);
  await fill(`INSERT INTO telemetry_events (organization_id, user_id, event_type, event_name, created_at)
    SELECT org, person, CASE WHEN n % 50 = 0 THEN 'error' ELSE 'page' END, 'name-' || n % 20, at FROM row`);
  await fill(`INSERT INTO webhook_deliveries (webhook_id, organization_id, event_id, event_type, payload, created_at)
    SELECT webhook, org, uuid_generate_v4(), 'license.updated', '{}', at FROM row`);
  await fill(`INSERT INTO processed_tasks (organization_id, user_id, license_id, created_at) SELECT org, person, license, at FROM row`);
  await fill(`INSERT INTO outbox_messages (organization_id, topic, payload, created_at, available_at, sent_at, processed_at)
    SELECT org, 'license.updated', '{}', at, at, at, at FROM row`);
  // Of a thousand people.
  await stack.pg.query('UPDATE organizations SET max_users = -1');
  await stack.pg.query(`INSERT INTO users_profile (id, organization_id, email)
    SELECT md5('filled-' || n)::uuid, $1, 'filled-' || n || '@example.test' FROM generate_series(0, 999) AS n`, [a.id]);
  await fill(`INSERT INTO user_sessions (user_id, organization_id, session_token, last_seen_at, created_at)
    SELECT md5('filled-' || n % 1000)::uuid, '${a.id}', 'filled-' || n, at, at FROM row`);
  await fill(`INSERT INTO system_events (event_type, source, message, created_at) SELECT 'x.y', 'test', 'filled', at FROM row`);
  await fill(`INSERT INTO dead_letters (queue, body, body_hash, reason, queued_at, status, last_seen_at)
    SELECT 'celaest-telemetry', '{}', n::text, 'filled', at, CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'replayed' END, at FROM row`);
  await fill(`INSERT INTO idempotency_keys (caller, key, organization_id, method, path, request_hash, created_at, expires_at)
    SELECT person::text, 'filled-' || n, org, 'POST', '/', 'x', at, now() + interval '1 day' FROM row`);
  await fill(`INSERT INTO license_ip_bindings (license_id, organization_id, ip_address, is_active, unbound_at)
    SELECT license, org, '10.0.0.0'::inet + n, false, at FROM row`);
  // As if it had been sealed until a moment ago.
  await stack.pg.query('DELETE FROM audit_seals');
  await stack.pg.query(`
    INSERT INTO audit_seals (organization_id, first_sequence, last_sequence, row_count, digest, signature, key_id, row_hashes)
    SELECT organization_id, min(sequence), max(sequence) - 50, 1, md5(organization_id::text) || md5('x'), 'x', 'x', 'x'
    FROM audit_logs WHERE organization_id IS NOT NULL GROUP BY 1`);
  // And added up, as the job leaves it every minute.
  await stack.pg.query('SELECT analytics_aggregate(100000)');
  await stack.pg.query('VACUUM ANALYZE');
  const { rows } = await stack.pg.query(
    `SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > ${LARGE} AND relnamespace = 'public'::regnamespace`);
  large = new Set(rows.map(({ relname }) => relname));
  for (const table of GROWING) assert.ok([...large].some((name) => name.startsWith(table)), `${table} is not large`);
  log = await recorder(stack);
});

after(async () => {
  assert.ok(recorded > 100, `${recorded} transactions were recorded`);
  await log?.end();
  await stack?.stop();
});

/** The large relations that a plan reads as a whole. What is bounded from above by a LIMIT is not read as a whole. */
function wholeScans(node, bound = Infinity) {
  const limit = node['Node Type'] === 'Limit' ? Math.min(bound, node['Total Cost']) : bound;
  const here = node['Node Type'] === 'Seq Scan' && large.has(node['Relation Name']) && limit > node['Total Cost'] / 2
    ? [node['Relation Name']] : [];
  return [...here, ...(node.Plans ?? []).flatMap((plan) => wholeScans(plan, limit))];
}

/** The scans of the audit log that do not begin at a place in it, but for those that a LIMIT ends at once. */
function unplaced(node, bound = Infinity) {
  const limit = node['Node Type'] === 'Limit' ? Math.min(bound, node['Total Cost']) : bound;
  const conditions = `${node['Index Cond'] ?? ''} ${node['Recheck Cond'] ?? ''}`;
  const here = large.has(node['Relation Name']) && node['Relation Name'].startsWith('audit_logs') && !/sequence/.test(conditions)
    && limit > node['Total Cost'] / 2 ? [node['Relation Name']] : [];
  return [...here, ...(node.Plans ?? []).flatMap((plan) => unplaced(plan, limit))];
}

/**
 * Plans what `work` made the worker send; gives a line for each statement that reads a large table as a whole,
 * or in which `also` finds something.
 */
async function check(work, also = () => []) {
  const { transactions } = await log.recorded(work);
  // Some routes ask PostgreSQL nothing, once their caller is known.
  recorded += transactions.length;
  const wrong = new Set();
  await again(stack, async (server) => {
    for (const { settings, statements } of transactions) {
      await server.as(settings);
      for (const statement of statements) {
        if (!/^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\b/i.test(statement.sql)) continue;
        const plan = await server.plan(statement);
        const scanned = [...wholeScans(plan), ...also(plan)];
        if (scanned.length) wrong.add(`${[...new Set(scanned)]}: ${statement.sql.replace(/\s+/g, ' ').slice(0, 400)}`);
      }
    }
  });
  return [...wrong];
}

describe('every route', () => {
  for (const one of asked) {
    test(one.name, async () => {
      for (const role of one.roles) assert.deepEqual(await check(await prepared(stack, [a, b], one, role)), [], role);
    });
  }
});

describe('lists with their filters', () => {
  const [user, moment] = [() => a.users.admin, new Date(Date.now() - 3_600_000).toISOString()];
  for (const [path, query] of [
    ['/api/audit-logs', { user_id: user }], ['/api/audit-logs', { entity_id: randomUUID() }], ['/api/audit-logs', { action: 'license.updated' }],
    ['/api/audit-logs', { entity_type: 'license' }], ['/api/audit-logs', { sort: 'action' }], ['/api/audit-logs', { sort: 'sequence', order: 'asc' }],
    ['/api/audit-logs', { created_after: moment }], ['/api/audit-logs', { success: 'false' }], ['/api/audit-logs', { actor_kind: 'system' }],
    ['/api/audit-logs/search', { q: 'nothing has this' }], ['/api/audit-logs/export', { q: 'nothing has this' }], ['/api/audit-logs/export', { format: 'jsonl' }],
    ['/api/audit-logs/verify', {}],
    ['/api/telemetry', { user_id: user }], ['/api/telemetry', { event_name: 'name-1' }], ['/api/telemetry', { session_id: 'x' }],
    ['/api/telemetry', { event_category: 'x' }], ['/api/telemetry', { event_type: 'error' }], ['/api/telemetry/errors', { user_id: user }],
    ['/api/system/dead-letters', { status: 'waiting' }], ['/api/system/dead-letters', { queue: 'celaest-events' }],
  ]) {
    test(`${path} ${JSON.stringify(query, (_, value) => (typeof value === 'function' ? 'admin' : value))}`, async () => {
      const filled = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, typeof value === 'function' ? value() : value]));
      for (const role of path.startsWith('/api/system') ? ['super_admin'] : ['admin', 'super_admin']) {
        const call = await somebody(stack, a, role);
        assert.deepEqual(await check(async () => good(await call('GET', path, { query: filled }))), [], role);
      }
    });
  }
});

describe('every job', () => {
  for (const job of JOBS) {
    test(job, async () => {
      assert.deepEqual(await check(() => stack.triggerCron(job)), []);
    });
  }
});

test('the log is sealed and verified from its last seal on', async () => {
  const call = await somebody(stack, a, 'admin');
  await call('GET', '/api/auth/me');
  const work = async () => {
    good(await call('GET', '/api/audit-logs/verify', { query: { after: '1' } }));
    await stack.triggerCron('2-57/5 * * * *');
  };
  // What belongs to no organization is little here, and read as such.
  const ofSeals = (text) => text.includes('audit_seals') && !text.includes('organization_id IS NULL');
  assert.deepEqual(await check(work, (plan) => (ofSeals(JSON.stringify(plan)) ? unplaced(plan) : [])), []);
});

test('what the consumers write', async () => {
  const call = await somebody(stack, a, 'admin');
  assert.deepEqual(await check(async () => {
    good(await call('POST', '/api/telemetry', { body: { events: [{ event_type: 'page', event_name: 'planned' }] } }), 202);
    const data = good(await call('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
    await fetch(`${stack.url}/api/licenses/validate`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ license_key: data.license_key, ip_address: '192.0.2.9' }),
    });
    await eventually(async () => (await stack.pg.query('SELECT FROM license_validations WHERE license_id = $1', [data.id])).rowCount);
    await eventually(async () => (await stack.pg.query("SELECT FROM telemetry_events WHERE event_name = 'planned'")).rowCount);
  }), []);
});
