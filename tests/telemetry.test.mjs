// Telemetry: taken in whole or not at all, written once however often a message comes, read by kind,
// and gone when its time is over.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { counts, eventually, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack, startStack } from './harness/client.mjs';
import { createOrganization, createUser, insert, signedIn, withApiKey } from './support/world.mjs';

const NIGHTLY = '37 2 * * *';
const DAY = 86_400_000;

const stack = await sharedStack();
let home;
let admin;

before(async () => {
  home = await createOrganization(stack, { roles: ['super_admin', 'admin', 'manager', 'developer', 'viewer'] });
  admin = home.as.admin;
});

const send = (events, call = home.as.viewer, more = {}) => call('POST', '/api/telemetry', { body: { events }, ...more });
const event = (more = {}) => ({ event_type: 'page', event_name: 'opened', ...more });
const list = async (query, call = admin) => good(await call('GET', '/api/telemetry', { query: { per_page: 100, ...query } }));
/** The rows of a run of a program, once there are so many. */
const arrived = (session, count) => eventually(async () => {
  const rows = await list({ session_id: session });
  assert.ok(rows.length <= count, `${rows.length} rows`);
  return rows.length === count && rows;
});

describe('the intake', () => {
  test('keeps everything that was told, and who told it', async () => {
    const session = randomUUID();
    const occurred = new Date(Date.now() - 3 * DAY);
    const told = event({
      event_type: 'error', event_name: 'Ünhandled "x"', event_category: 'ui', properties: { stack: ['a', 'b'], code: 1.50, nested: { null: null } },
      session_id: session, page_url: 'https://app.test/?q=1', referrer: 'https://app.test/', device_type: 'desktop', browser: 'Firefox', os: 'Linux',
    });
    const key = await withApiKey(stack, home.users.viewer, home.id);
    const answer = await send([{ ...told, occurred_at: occurred.toISOString() }, event({ session_id: session })], key, { headers: { 'user-agent': 'program/1.0' } });
    assert.deepEqual(good(answer, 202), { accepted: 2 });
    const rows = await arrived(session, 2);
    const [latest, first] = rows;
    const { id, ip_address: ip, created_at: at, ...rest } = first;
    assert.deepEqual(rest, { ...told, properties: { ...told.properties, code: 1.5 }, organization_id: home.id, user_id: home.users.viewer, user_agent: 'program/1.0' });
    assert.ok(id && ip);
    assert.equal(Date.parse(at), Number(occurred));
    assert.deepEqual([latest.properties, latest.browser, latest.event_category], [{}, null, null]);
    assert.ok(Math.abs(Date.parse(latest.created_at) - Date.now()) < 60_000);
  });

  test('takes a hundred events at once, in no statement of its own', async () => {
    const session = randomUUID();
    await send([event()]);
    const answer = await send(Array.from({ length: 100 }, (_, n) => event({ event_name: `n${n}`, session_id: session, properties: { text: 'x'.repeat(1_000) } })));
    assert.deepEqual(good(answer, 202), { accepted: 100 });
    assert.ok(counts(answer).db <= 1, 'the look-up of the caller');
    const rows = await arrived(session, 100);
    assert.equal(new Set(rows.map((row) => row.event_name)).size, 100);
  });

  test('takes a hundred events of the largest size, and measures them as they are stored', async () => {
    const session = randomUUID();
    const large = event({ session_id: session, properties: { text: 'x'.repeat(8_150) } });
    assert.deepEqual(good(await send(Array(100).fill(large)), 202), { accepted: 100 });
    await eventually(async () => (await stack.pg.query('SELECT FROM telemetry_events WHERE session_id = $1', [session])).rowCount === 100);
    const answer = await admin('GET', '/api/telemetry', { query: { session_id: session, per_page: 100 } });
    assert.equal(good(answer).length, 100);
    assert.ok(answer.text.length < 1_100_000);
    refusedFields(await send([event({ properties: { numbers: Array(30).fill(1e308) } })]), 'events[0].properties');
  });

  test('keeps no value whose name says that it is a secret', async () => {
    const session = randomUUID();
    const properties = { user: 'ann', 'contraseña': 'x', form: [{ Password: 'x', clave_api: 'x', campo: 'y' }] };
    good(await send([event({ session_id: session, properties })]), 202);
    const [row] = await arrived(session, 1);
    const gone = '[redacted]';
    assert.deepEqual(row.properties, { user: 'ann', 'contraseña': gone, form: [{ Password: gone, clave_api: gone, campo: 'y' }] });
  });

  test('dates what a fast clock dates ahead to now', async () => {
    const session = randomUUID();
    good(await send([event({ session_id: session, occurred_at: new Date(Date.now() + 60_000).toISOString() })]), 202);
    const [row] = await arrived(session, 1);
    assert.ok(Date.parse(row.created_at) <= Date.now());
  });

  test('is all or nothing', async () => {
    const session = randomUUID();
    const good1 = event({ session_id: session });
    refusedFields(await send([good1, event({ event_name: '' })]), 'events[1].event_name');
    refusedFields(await send([good1, event({ event_type: 'x'.repeat(101), os: 'x'.repeat(51) })]), 'events[1].event_type', 'events[1].os');
    refusedFields(await send([event({ properties: { text: 'x'.repeat(8_200) } })]), 'events[0].properties');
    for (const at of [Date.now() - 7 * DAY - 5_000, Date.now() + 6 * 60_000]) {
      refusedFields(await send([good1, event({ occurred_at: new Date(at).toISOString() })]), 'events[1].occurred_at');
    }
    refusedFields(await send([]), 'events');
    refusedFields(await send(Array.from({ length: 101 }, () => good1)), 'events');
    for (const body of [{}, { events: {} }, { events: [{ ...good1, surprise: 1 }] }, { events: [{ event_type: 'x' }] }, { events: [{ ...good1, properties: [] }] },
      { events: [{ ...good1, event_name: 'a\u0000b' }] }, { events: [{ ...good1, properties: { 'a\u0000': 1 } }] }]) {
      refused(await home.as.viewer('POST', '/api/telemetry', { body }), 400, 'INVALID_BODY');
    }
    const text = JSON.stringify({ events: [good1] });
    refused(await home.as.viewer('POST', '/api/telemetry', { text: text.replace('"opened"', '"\\ud800"') }), 400, 'INVALID_BODY');
    good(await send([good1]), 202);
    await arrived(session, 1);
  });

  test('reads no more than a megabyte', async () => {
    refused(await home.as.viewer('POST', '/api/telemetry', { text: `{"events":[${Array(100).fill(JSON.stringify(event({ properties: { a: 'x'.repeat(12_000) } })))}]}` }), 413, 'BODY_TOO_LARGE');
    // A body that was not read to its end ends its connection.
    await eventually(async () => (await fetch(`${stack.url}/health/live`).catch(() => ({ ok: false }))).ok);
  });

  test('writes once what is sent twice with its key', async () => {
    const session = randomUUID();
    const headers = { 'idempotency-key': randomUUID() };
    const events = [event({ session_id: session }), event({ session_id: session })];
    for (let round = 0; round < 3; round += 1) assert.deepEqual(good(await send(events, admin, { headers }), 202), { accepted: 2 });
    refused(await send([event({ session_id: session })], admin, { headers }), 409, 'IDEMPOTENCY_CONFLICT');
    good(await send([event({ session_id: session, event_name: 'last' })], admin), 202);
    assert.equal((await arrived(session, 3)).filter((row) => row.event_name === 'opened').length, 2);
  });

  test('writes a repeated message once', async () => {
    // The consumer's own statement with what the intake makes, twice.
    const source = readFileSync(new URL('../src/modules/telemetry/write.rs', import.meta.url), 'utf8');
    const statement = source.match(/const EVENTS: &str = "([^"]+)"/)[1];
    const session = randomUUID();
    const message = {
      from: { organization_id: home.id, user_id: home.users.viewer, ip_address: '192.0.2.7', user_agent: null },
      events: [1, 2].map((n) => ({ id: randomUUID(), created_at: new Date().toISOString(), session_id: session, ...event({ event_name: `e${n}` }) })),
    };
    for (const batch of [[message], [message, message], [message]]) await stack.pg.query(statement, [JSON.stringify(batch)]);
    assert.deepEqual((await list({ session_id: session })).map((row) => row.event_name).toSorted(), ['e1', 'e2']);
  });
});

describe('reading', () => {
  const names = async (query, call) => (await list(query, call)).map((row) => row.event_name).toSorted();
  let session;

  before(async () => {
    session = randomUUID();
    const now = Date.now();
    const row = (more) => insert(stack, 'telemetry_events', {
      organization_id: home.id, user_id: home.users.viewer, event_type: 'page', event_name: 'opened', session_id: session, ...more });
    await row({ event_name: 'one', event_category: 'ui', created_at: new Date(Date.now() - 2 * DAY) });
    await row({ event_name: 'two', user_id: home.users.developer });
    await row({ event_name: 'three', event_type: 'click/menu item' });
    for (let n = 0; n < 3; n += 1) {
      await row({ event_type: 'error', event_name: `boom-${session}`, properties: { n }, user_id: n ? home.users.viewer : home.users.developer, created_at: new Date(now - (3 - n) * 60_000) });
    }
    await row({ event_type: 'error', event_name: `bang-${session}`, created_at: new Date(Date.now() - 2 * DAY) });
  });

  test('narrows by kind, group, name, person, run and period', async () => {
    const in1 = { session_id: session };
    assert.deepEqual(await names({ ...in1, event_type: 'page' }), ['one', 'two']);
    assert.deepEqual(await names({ ...in1, event_category: 'ui' }), ['one']);
    assert.deepEqual(await names({ ...in1, event_name: 'two' }), ['two']);
    assert.deepEqual(await names({ ...in1, user_id: home.users.developer }), [`boom-${session}`, 'two']);
    const yesterday = new Date(Date.now() - DAY).toISOString();
    assert.deepEqual(await names({ ...in1, created_before: yesterday }), [`bang-${session}`, 'one']);
    assert.equal((await names({ ...in1, created_after: yesterday })).length, 5);
    const all = await list(in1);
    assert.deepEqual(all, all.toSorted((a, b) => b.created_at.localeCompare(a.created_at)));
    const page = await admin('GET', '/api/telemetry', { query: { ...in1, per_page: 3, page: 2 } });
    assert.deepEqual([good(page), page.body.meta.total], [all.slice(3, 6), 7]);
    const kind = async (key) => good(await admin('GET', '/api/telemetry/events/{key}', { key, query: in1 })).map((row) => row.event_name);
    assert.deepEqual(await kind('click/menu item'), ['three']);
    assert.deepEqual(await kind('nothing of the kind'), []);
    for (const query of [{ page: 0 }, { per_page: 101 }, { event_name: 'x'.repeat(201) }]) refusedFields(await admin('GET', '/api/telemetry', { query }), ...Object.keys(query));
    for (const query of [{ user_id: 'x' }, { created_after: 'x' }, { q: 'x' }]) refused(await admin('GET', '/api/telemetry', { query }), 400, 'INVALID_QUERY');
  });

  test('puts errors of one name together', async () => {
    const errors = async (query) => good(await admin('GET', '/api/telemetry/errors', { query: { per_page: 100, ...query } })).filter((row) => row.event_name.endsWith(session));
    const [boom, bang] = await errors({});
    assert.deepEqual(
      [boom.event_name, boom.count, boom.users, boom.last_properties], [`boom-${session}`, 3, 2, { n: 2 }]);
    assert.ok(Date.parse(boom.last_seen) - Date.parse(boom.first_seen) === 120_000);
    assert.deepEqual([bang.event_name, bang.count, bang.users, bang.last_properties], [`bang-${session}`, 1, 1, {}]);
    assert.deepEqual((await errors({ sort: 'count', order: 'asc' })).map((row) => row.count), [1, 3]);
    assert.deepEqual((await errors({ created_after: new Date(Date.now() - DAY).toISOString() })).length, 1);
    assert.deepEqual((await errors({ user_id: home.users.developer })).map((row) => [row.count, row.last_properties]), [[1, { n: 0 }]]);
  });

  test('is for the own organization; a super administrator sees all or one', async () => {
    const other = await createOrganization(stack, { roles: ['admin'] });
    assert.deepEqual(await list({ session_id: session }, other.as.admin), []);
    refusedFields(await other.as.admin('GET', '/api/telemetry', { query: { organization_id: home.id } }), 'organization_id');
    const root = home.as.super_admin;
    assert.equal((await list({ session_id: session }, root)).length, 7);
    assert.deepEqual(await list({ session_id: session, organization_id: other.id }, root), []);
    const client = await createUser(stack, home.id, 'client', { scopes: '["telemetry:read"]' });
    const call = await signedIn(stack, client);
    assert.deepEqual(await list({}, call), []);
    good(await send([event({ session_id: `${session}c` })], call), 202);
    await eventually(async () => (await list({}, call)).length === 1);
  });
});

describe('retention', () => {
  const add = (on, organization, session, days, name) => on.pg.query(
    `INSERT INTO telemetry_events (organization_id, event_type, event_name, session_id, created_at)
     SELECT $1, 'page', $4, $2, now() - make_interval(days => day) - interval '1 hour' FROM unnest($3::int[]) AS day`, [organization, session, days, name]);
  const left = async (on, session) => (await on.pg.query(
    'SELECT event_name AS name, count(*)::int FROM telemetry_events WHERE session_id = $1 GROUP BY 1 ORDER BY 1', [session])).rows;

  test('is kept by the nightly job, in as many steps as it takes', async () => {
    const session = randomUUID();
    await add(stack, home.id, session, Array(10_100).fill(400), 'old');
    await add(stack, home.id, session, [0, 1, 5], 'young');
    await stack.triggerCron(NIGHTLY);
    await eventually(async () => {
      const rows = await left(stack, session);
      assert.deepEqual(rows.at(-1), { name: 'young', count: 3 });
      return rows.length === 1;
    }, 30_000);
  });

  test('follows its setting, and so does the intake', async (t) => {
    const own = await startStack();
    t.after(() => own.stop());
    const other = await createOrganization(own, { roles: ['admin'] });
    await own.pg.query(`INSERT INTO system_config (key, value) VALUES ('telemetry.enabled', 'false'), ('telemetry.retention_days', '10')
      ON CONFLICT (key) DO UPDATE SET value = excluded.value`);
    const session = randomUUID();
    assert.deepEqual(good(await send([event({ session_id: session })], other.as.admin), 202), { accepted: 0 });
    await add(own, other.id, session, [9], 'young');
    await add(own, other.id, session, [10, 11], 'old');
    await own.triggerCron(NIGHTLY);
    await eventually(async () => (await left(own, session)).length === 1);
    assert.deepEqual(await left(own, session), [{ name: 'young', count: 1 }]);
  });
});
