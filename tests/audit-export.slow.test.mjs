// The audit log as a file: every row of it, whatever its size, while the worker holds a page at a time.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, good, refused, refusedFields } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization, createUser, insert, signedIn, withApiKey } from './support/world.mjs';

const ROWS = 52_345;
const PATH = '/api/audit-logs/export';

let stack;
let home;
let other;
let folder;

before(async () => {
  stack = await startStack();
  home = await createOrganization(stack, { roles: ['admin', 'super_admin'] });
  other = await createOrganization(stack, { roles: ['admin'] });
  folder = mkdtempSync(join(tmpdir(), 'celaest-export-'));
  // The server reads the file as another user when we are root.
  chmodSync(folder, 0o755);
  const nasty = ['=1+1', '+a', '-b', '@c', '\tx', '\ry', '\nz', 'a,b', '"quoted"', 'line\r\nbreak', 'ünï 日本 🦀', "'=x", '', ' x ', '\\.', 'NULL', 'null', '\\', "''"];
  await stack.pg.query(
    `INSERT INTO audit_logs (organization_id, user_id, action, event, resource_type, resource_id, description, changes,
       request_id, ip_address, user_agent, success, error_message, created_at)
     SELECT $1, CASE WHEN n % 3 > 0 THEN $2::uuid END, 'update', 'license.updated', 'license',
       CASE WHEN n % 5 > 0 THEN uuid_generate_v4() END, ($3::text[])[1 + n % $4::int],
       CASE WHEN n % 4 > 0 THEN jsonb_build_object('before', jsonb_build_object('notes', ($3::text[])[1 + n % $4::int]), 'after', jsonb_build_object('n', n)) END,
       'r-' || n, CASE WHEN n % 2 = 0 THEN '192.0.2.1'::inet ELSE '2001:db8::1'::inet END, ($3::text[])[1 + (n + 7) % $4::int],
       n % 9 > 0, CASE WHEN n % 9 = 0 THEN 'failed, "badly"' END, now() - make_interval(secs => n)
     FROM generate_series(1, $5::int) AS n`, [home.id, home.users.admin, nasty, nasty.length, ROWS]);
  await insert(stack, 'audit_logs', { organization_id: other.id, action: 'create', event: 'order.created', resource_type: 'order' });
});
after(async () => {
  if (folder) rmSync(folder, { recursive: true });
  await stack?.stop();
});

/** A whole file, as the worker sends it. */
async function file(call, query = {}) {
  const answer = await call('GET', PATH, { query });
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));

/** The rows of the table in the shape of the API, for a condition. */
const SHOWN = `
  SELECT a.id, a.sequence, a.organization_id, a.user_id, a.actor_kind, a.api_key_id, k.name AS api_key_name, a.event AS action,
    a.resource_type AS entity_type, a.resource_id AS entity_id, audit_changes(a.changes) AS changes, a.description, a.request_id,
    host(a.ip_address) AS ip_address, a.user_agent, a.success, a.error_message, a.created_at
  FROM audit_logs a LEFT JOIN user_api_keys k ON k.id = a.api_key_id WHERE a.organization_id = $1`;
const COLUMNS = ['id', 'sequence', 'organization_id', 'user_id', 'actor_kind', 'api_key_id', 'api_key_name', 'action', 'entity_type', 'entity_id',
  'changes', 'description', 'request_id', 'ip_address', 'user_agent', 'success', 'error_message', 'created_at'];

describe('a file of more than 50,000 rows', () => {
  test('as CSV, read by PostgreSQL, is the table row by row', async () => {
    const { rows: [{ last }] } = await stack.pg.query('SELECT max(sequence)::int AS last FROM audit_logs');
    const answer = await file(home.as.admin);
    assert.equal(answer.headers.get('content-type'), 'text/csv; charset=utf-8');
    assert.match(answer.headers.get('content-disposition'), /^attachment; filename="audit-logs-\d{8}-\d{6}\.csv"$/);
    assert.ok(answer.headers.get('x-request-id'));
    assert.ok(answer.text.startsWith(`${COLUMNS.join(',')}\r\n`));
    const path = join(folder, 'export.csv');
    writeFileSync(path, answer.text);
    chmodSync(path, 0o644);
    const client = await stack.pg.connect();
    try {
      await client.query(`CREATE TEMP TABLE exported (${COLUMNS.map((column) => `${column} text`)})`);
      await client.query(`COPY exported FROM '${path}' WITH (FORMAT csv, HEADER match)`);
      // What a spreadsheet would take for a formula was made text; an empty field is nothing.
      const wanted = COLUMNS.map((column) => {
        const text = column === 'created_at' ? "to_json(created_at) #>> '{}'" : `${column}::text`;
        return `nullif(CASE WHEN ${text} ~ '^[-=+@\\t\\r\\n]' THEN '''' || (${text}) ELSE ${text} END, '') AS ${column}`;
      });
      const { rows: [counts] } = await client.query(
        `WITH wanted AS MATERIALIZED (SELECT ${wanted} FROM (${SHOWN} AND a.sequence <= $2) AS shown)
         SELECT (SELECT count(*) FROM exported)::int AS exported, (SELECT count(*) FROM wanted)::int AS wanted,
           (SELECT count(*) FROM (SELECT * FROM wanted EXCEPT SELECT * FROM exported) AS d)::int AS missing,
           (SELECT count(*) FROM (SELECT * FROM exported EXCEPT SELECT * FROM wanted) AS d)::int AS strange`, [home.id, last]);
      assert.ok(counts.wanted >= ROWS);
      // Those written since: the sign-in may be noted meanwhile, this export is not in it.
      assert.deepEqual(counts, { exported: counts.wanted, wanted: counts.wanted, missing: 0, strange: 0 });
      const order = [...answer.text.matchAll(/^[0-9a-f-]{36},(\d+),/gm)].map(([, sequence]) => Number(sequence));
      assert.equal(order.length, counts.exported);
      assert.ok(order.every((sequence, index) => index === 0 || sequence > order[index - 1]));
    } finally {
      client.release(true);
    }
  });

  test('as JSON lines has every row as the API shows it', async () => {
    const answer = await file(home.as.admin, { format: 'jsonl', created_before: new Date(Date.now() - 1000).toISOString(), action: 'license.updated' });
    assert.equal(answer.headers.get('content-type'), 'application/x-ndjson');
    assert.match(answer.headers.get('content-disposition'), /\.jsonl"$/);
    const rows = lines(answer.text);
    assert.ok(rows.length >= ROWS - 2 && answer.text.endsWith('\n'));
    const { rows: wanted } = await stack.pg.query(`SELECT to_jsonb(s) AS row FROM (${SHOWN} AND a.event = 'license.updated' AND a.sequence >= $2 ORDER BY a.sequence) AS s`,
      [home.id, rows[0].sequence]);
    assert.deepEqual(rows, wanted.slice(0, rows.length).map(({ row }) => row));
    assert.deepEqual(good(await home.as.admin('GET', '/api/audit-logs/{id}', { id: rows[100].id })), rows[100]);
  });

  test('comes while it is made: a reader that waits holds the worker back', async () => {
    const lastQuery = async () => (await stack.pg.query(
      "SELECT max(query_start)::text AS at FROM pg_stat_activity WHERE datname = current_database() AND usename = 'celaest_app'")).rows[0].at;
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const response = await fetch(`${stack.url}${PATH}?format=jsonl`, { headers: { authorization: `Bearer ${await home.token('admin')}` } });
    const reader = response.body.getReader();
    const first = (await reader.read()).value.length;
    // What lies between the worker and the reader fills up, then nothing moves any more.
    const held = await eventually(async () => {
      const at = await lastQuery();
      await pause(1000);
      return at === await lastQuery() && at;
    });
    let bytes = first;
    for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length;
    assert.ok(bytes > ROWS * 300 && first < bytes / 10, `${first} of ${bytes} bytes`);
    assert.notEqual(await lastQuery(), held, 'the rest was read from PostgreSQL when it was wanted');
  });

  test('two at once, with one reader that goes away', async () => {
    const headers = { authorization: `Bearer ${await home.token('admin')}` };
    const abort = new AbortController();
    const gone = await fetch(`${stack.url}${PATH}`, { headers, signal: abort.signal });
    await gone.body.getReader().read();
    const [one, two] = [file(home.as.admin, { format: 'jsonl' }), file(home.as.admin, { format: 'jsonl' })];
    abort.abort();
    assert.ok(lines((await one).text).length >= ROWS && lines((await two).text).length >= ROWS);
  });
});

describe('an export', () => {
  test('is audited, and not part of itself', async () => {
    const { rows: [{ last }] } = await stack.pg.query('SELECT max(sequence)::int AS last FROM audit_logs');
    const key = await withApiKey(stack, home.users.admin, home.id, { name: 'auditor', scopes: ['audit:export'] });
    const answer = await file(key, { format: 'jsonl', entity_type: 'audit_export' });
    assert.ok(lines(answer.text).every((row) => row.sequence <= last));
    const [row] = good(await home.as.admin('GET', '/api/audit-logs', { query: { action: 'audit.exported', api_key_id: key.id } }));
    assert.deepEqual([row.actor_kind, row.api_key_name, row.entity_type, row.changes], [
      'api_key', 'auditor', 'audit_export', { format: [null, 'jsonl'], entity_type: [null, 'audit_export'] }]);
    assert.equal(row.request_id, answer.headers.get('x-request-id'));
    const { rows } = await stack.pg.query('SELECT action::text FROM audit_logs WHERE id = $1', [row.id]);
    assert.deepEqual(rows, [{ action: 'export' }]);
  });

  test('is narrowed by the filters of the list', async () => {
    for (const query of [{ success: false, created_after: new Date(Date.now() - 600_000).toISOString() }, { q: 'r-77' }, { entity_type: 'session' }]) {
      const exported = lines((await file(home.as.admin, { ...query, format: 'jsonl' })).text);
      const listed = [];
      for (let page = 1; ; page += 1) {
        const rows = good(await home.as.admin('GET', '/api/audit-logs', { query: { ...query, sort: 'sequence', order: 'asc', per_page: 100, page } }));
        listed.push(...rows);
        if (rows.length < 100) break;
      }
      assert.deepEqual(exported, listed.filter((row) => row.sequence <= exported.at(-1).sequence), JSON.stringify(query));
      assert.ok(exported.length > 0);
    }
  });

  test('of nothing is a header alone, or nothing', async () => {
    assert.equal((await file(home.as.admin, { action: 'never.happened' })).text, `${COLUMNS.join(',')}\r\n`);
    assert.equal((await file(home.as.admin, { action: 'never.happened', format: 'jsonl' })).text, '');
  });

  test('shows one tenant only; a super administrator sees all', async () => {
    const own = lines((await file(other.as.admin, { format: 'jsonl' })).text);
    assert.ok(own.length >= 1 && own.every((row) => row.organization_id === other.id));
    refusedFields(await other.as.admin('GET', PATH, { query: { organization_id: home.id } }), 'organization_id');
    const root = home.as.super_admin;
    const all = lines((await file(root, { format: 'jsonl', entity_type: 'order' })).text);
    assert.deepEqual(all.map((row) => row.organization_id), [other.id]);
    const theirs = lines((await file(root, { format: 'jsonl', organization_id: other.id })).text);
    assert.ok(theirs.length >= own.length && theirs.every((row) => row.organization_id === other.id));
    const client = await signedIn(stack, await createUser(stack, other.id, 'client', { scopes: '["audit:export"]' }));
    assert.ok(lines((await file(client, { format: 'jsonl' })).text).every((row) => row.action === 'user.login'));
    refused(await (await signedIn(stack, await createUser(stack, other.id, 'manager')))('GET', PATH), 403, 'FORBIDDEN');
    refused(await other.as.admin('GET', PATH, { query: { format: 'xlsx' } }), 400, 'INVALID_QUERY');
  });
});
