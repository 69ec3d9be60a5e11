// The configuration of the system: what may be set, what is never shown, and how soon a change is felt.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { counts, eventually, good, refused, refusedFields } from './support/api.mjs';
import { Edge, manyAddresses, pause } from './support/edge.mjs';
import { createOrganization } from './support/world.mjs';

const DEFAULTS = {
  'analytics.hourly_rate_usd': 25,
  'analytics.infrastructure_cost_usd_per_month': 0,
  'analytics.manual_minutes_per_task': 15,
  'analytics.quarters_kept_months': 25,
  'api.rate_limit_per_min': 1_000_000,
  'api_keys.max_per_user': 20,
  'api_keys.max_rate_per_min': 1_000,
  'coupons.retention_days': 730,
  'downloads.retention_days': 730,
  'email.api_key': null,
  'email.api_url': null,
  'email.from': null,
  'license.address_source': 'reported',
  'license.collision_auto_revoke': false,
  'license.collision_threshold': 10,
  'license.validation_retention_days': 365,
  'payment_events.retention_days': 730,
  'sessions.retention_days': 90,
  'system_events.retention_days': 90,
  'tasks.retention_days': 730,
  'telemetry.enabled': true,
  'telemetry.retention_days': 90,
  'webhooks.max_per_organization': 20,
  'webhooks.retention_days': 90,
};
const SECRET = `re_${randomUUID()}`;
/** Longest that a change may take to be felt everywhere. */
const A_MINUTE = 60_000;

// A worker of its own: settings are everybody's.
let edge;
let stack;
let home;
let root;
before(async () => {
  edge = await Edge.open({});
  stack = edge.stack;
  home = await createOrganization(stack);
  root = home.as.super_admin;
});
after(() => edge?.close());

const list = async (as = root) => Object.fromEntries(good(await as('GET', '/api/settings')).map((one) => [one.key, one]));
const change = (body, as = root) => as('PATCH', '/api/settings', { body });
const one = async (key, as = root) => good(await as('GET', '/api/settings/{key}', { key }));

/** The audit rows of all changes, oldest first. */
async function audited() {
  const { rows } = await stack.pg.query(
    `SELECT action::text, resource_type, resource_id, organization_id, user_id, actor_kind, changes, request_id
     FROM audit_logs WHERE event = 'settings.changed' ORDER BY sequence`);
  return rows;
}

/** Writes a row past the API, as another worker's change or a person's hand would. */
const byHand = (key, value) => stack.pg.query(
  `INSERT INTO system_config (key, value) VALUES ($1, $2)
   ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_by = NULL`, [key, JSON.stringify(value)]);

describe('reading', () => {
  test('every setting is there with its default, in order', async () => {
    good(await home.as.admin('GET', '/api/settings'));
    const answer = await home.as.admin('GET', '/api/settings');
    const rows = good(answer);
    assert.deepEqual(Object.fromEntries(rows.map(({ key, value }) => [key, value])), DEFAULTS);
    assert.deepEqual(rows.map(({ key }) => key), Object.keys(DEFAULTS).sort());
    for (const row of rows) {
      assert.equal(row.is_default, true, row.key);
      assert.deepEqual(row.default, row.value);
      assert.equal(row.is_sensitive, row.key === 'email.api_key');
      assert.ok(row.description.length > 10);
    }
    assert.deepEqual(await one('license.collision_threshold', home.as.admin), {
      ...rows.find(({ key }) => key === 'license.collision_threshold'), type: 'integer', minimum: 1, maximum: 1000, is_set: true,
    });
    assert.deepEqual(counts(answer), { db: 1, do: 1 });
  });

  test('an unknown key is 404, and so is one of which only a part is known', async () => {
    for (const key of ['license', 'license.collision_threshold.x', 'ai.max_attempts', 'TELEMETRY.ENABLED']) {
      refused(await root('GET', '/api/settings/{key}', { key }), 404, 'NOT_FOUND');
    }
  });

  test('nonsense written by hand counts as nothing', async () => {
    await byHand('telemetry.retention_days', 'for ever');
    await byHand('webhooks.max_per_organization', -1);
    for (const key of ['telemetry.retention_days', 'webhooks.max_per_organization']) {
      const { value, is_set: isSet, is_default: isDefault } = await one(key);
      assert.deepEqual([value, isSet, isDefault], [DEFAULTS[key], false, true]);
    }
    await stack.pg.query("DELETE FROM system_config WHERE key IN ('telemetry.retention_days', 'webhooks.max_per_organization')");
  });
});

describe('changing', () => {
  test('several at once, and back to the default with null; audited before and after', async () => {
    const before = (await audited()).length;
    const answer = await change({ 'telemetry.retention_days': 30, 'telemetry.enabled': false, 'email.from': 'no-reply@acme.example' });
    const rows = Object.fromEntries(good(answer).map((row) => [row.key, row]));
    assert.deepEqual(Object.keys(rows), Object.keys(DEFAULTS).sort());
    assert.deepEqual(rows, await list());
    const { value, default: standard, is_default: isDefault, is_set: isSet, updated_at: at, updated_by: by } = rows['telemetry.retention_days'];
    assert.deepEqual([value, standard, isDefault, isSet, by], [30, 90, false, true, home.users.super_admin]);
    assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000);

    good(await change({ 'telemetry.retention_days': null, 'telemetry.enabled': true, 'email.from': null }));
    const back = await list();
    assert.deepEqual([back['telemetry.retention_days'].value, back['telemetry.retention_days'].is_set], [90, false]);
    assert.deepEqual([back['telemetry.enabled'].is_default, back['telemetry.enabled'].is_set], [true, true]);
    assert.equal(back['email.from'].updated_at, null);

    const rest = (await audited()).slice(before);
    assert.deepEqual(rest.map(({ changes }) => changes), [
      {
        before: { 'email.from': null, 'telemetry.enabled': null, 'telemetry.retention_days': null },
        after: { 'email.from': 'no-reply@acme.example', 'telemetry.enabled': false, 'telemetry.retention_days': 30 },
      },
      {
        before: { 'email.from': 'no-reply@acme.example', 'telemetry.enabled': false, 'telemetry.retention_days': 30 },
        after: { 'email.from': null, 'telemetry.enabled': true, 'telemetry.retention_days': null },
      },
    ]);
    assert.equal(rest[0].request_id, answer.headers.get('x-request-id'));
    for (const row of rest) {
      assert.deepEqual(
        [row.action, row.resource_type, row.organization_id, row.user_id, row.actor_kind],
        ['update', 'settings', null, home.users.super_admin, 'user']);
    }
  });

  test('what is so already is no change', async () => {
    const before = (await audited()).length;
    good(await change({}));
    good(await change({ 'license.collision_threshold': 10, 'email.from': null }));
    assert.equal((await audited()).length, before);
  });

  test('an unknown or doubled key: 400; wrong values: 422 naming each; nothing of it happens', async () => {
    const before = [await list(), (await audited()).length];
    for (const text of [
      '{"telemetry.enabled":false,"telemetry":1}',
      '{"telemetry.enabled":false,"ai.max_attempts":2}',
      '{"telemetry.enabled":false,"telemetry.enabled":false}',
    ]) {
      refused(await root('PATCH', '/api/settings', { text }), 400, 'INVALID_BODY');
    }
    refusedFields(await change({
      'telemetry.enabled': false, 'telemetry.retention_days': 0, 'license.collision_threshold': '5', 'email.from': 'nobody',
      'email.api_url': 'http://api.example.com', 'email.api_key': '', 'api.rate_limit_per_min': 1.5, 'license.collision_auto_revoke': 1,
    }), 'telemetry.retention_days', 'license.collision_threshold', 'email.from', 'email.api_url', 'email.api_key',
    'api.rate_limit_per_min', 'license.collision_auto_revoke');
    for (const url of ['https://127.0.0.1/x', 'https://localhost/', 'https://metadata.google.internal/', 'https://u:p@example.com/']) {
      refusedFields(await change({ 'email.api_url': url }), 'email.api_url');
    }
    assert.deepEqual([await list(), (await audited()).length], before);
  });

  test('by a caller that may only read: 403', async () => {
    refused(await change({ 'telemetry.enabled': false }, home.as.admin), 403, 'FORBIDDEN');
  });

  test('changes at the same time follow each other, also in the audit log', async () => {
    const before = (await audited()).length;
    const values = Array.from({ length: 12 }, (_, index) => index + 1);
    const answers = await Promise.all(values.map((value) => change({ 'api_keys.max_per_user': value })));
    for (const answer of answers) good(answer);
    const chain = (await audited()).slice(before).map(({ changes }) => changes);
    assert.equal(chain.length, values.length);
    let last = null;
    for (const { before: was, after: is } of chain) {
      assert.equal(was['api_keys.max_per_user'], last);
      last = is['api_keys.max_per_user'];
    }
    assert.equal((await one('api_keys.max_per_user')).value, last);
    good(await change({ 'api_keys.max_per_user': null }));
  });
});

describe('a sensitive setting', () => {
  const row = async () => (await stack.pg.query("SELECT * FROM system_config WHERE key = 'email.api_key'")).rows[0];

  test('is stored sealed and shown nowhere: answers, logs, audit log, table', async () => {
    const before = (await audited()).length;
    const texts = [(await change({ 'email.api_key': SECRET })).text];
    const first = await row();
    assert.equal(first.is_sensitive, true);
    assert.deepEqual(Object.keys(first.value).sort(), ['sealed', 'version']);
    texts.push((await change({ 'email.api_key': SECRET })).text);
    assert.notEqual((await row()).value.sealed, first.value.sealed, 'each sealing has its own nonce');

    for (const as of [root, home.as.admin]) {
      texts.push((await as('GET', '/api/settings')).text);
      const shown = await one('email.api_key', as);
      assert.deepEqual(
        [shown.value, shown.default, shown.is_set, shown.is_default, shown.is_sensitive], [null, null, true, false, true]);
      texts.push(JSON.stringify(shown));
    }
    texts.push((await change({ 'email.api_key': ` ${SECRET}` })).text);
    const { rows } = await stack.pg.query(
      `SELECT a::text AS text FROM audit_logs a UNION ALL SELECT c::text FROM system_config c
       UNION ALL SELECT o::text FROM outbox_messages o UNION ALL SELECT i::text FROM idempotency_keys i`);
    texts.push(...rows.map(({ text }) => text), stack.logs());
    for (const text of texts) assert.ok(!text.includes(SECRET), text.slice(0, 200));
    const sealed = first.value.sealed;
    for (const text of [texts[0], ...(await audited()).map((one) => JSON.stringify(one))]) assert.ok(!text.includes(sealed));

    good(await change({ 'email.api_key': null }));
    assert.equal(await row(), undefined);
    assert.deepEqual((await audited()).slice(before).map(({ changes }) => changes), [
      { before: { 'email.api_key': null }, after: { 'email.api_key': '[redacted]' } },
      { before: { 'email.api_key': '[redacted]' }, after: { 'email.api_key': '[redacted]' } },
      { before: { 'email.api_key': '[redacted]' }, after: { 'email.api_key': null } },
    ]);
  });

  test('in clear, the table itself refuses it', async () => {
    await assert.rejects(
      stack.pg.query("INSERT INTO system_config (key, value, is_sensitive) VALUES ('x', '\"in clear\"', true)"),
      { constraint: 'system_config_sensitive_check' });
  });
});

describe('a change made elsewhere is felt within a minute', () => {
  test('the rate limit, without a statement more than usual', async () => {
    const call = () => home.as.viewer('GET', '/api/licenses');
    const limit = (answer) => Number(answer.headers.get('ratelimit-limit'));
    good(await call());
    const usual = counts(await call());
    assert.deepEqual(usual, { db: 1, do: 1 });
    assert.equal(limit(await call()), DEFAULTS['api.rate_limit_per_min']);
    await byHand('api.rate_limit_per_min', 4321);
    await eventually(async () => {
      const answer = await call();
      assert.deepEqual(counts(answer), usual);
      return limit(answer) === 4321;
    }, A_MINUTE, 1000);
    good(await change({ 'api.rate_limit_per_min': 5432 }));
    assert.equal(limit(await call()), 5432, 'and at once where it was changed');
    good(await change({ 'api.rate_limit_per_min': null }));
    assert.equal(limit(await call()), DEFAULTS['api.rate_limit_per_min']);
  });

  test('of changes at the same time the last is what it is changed to, at once', async () => {
    const limit = async () => Number((await home.as.viewer('GET', '/api/licenses')).headers.get('ratelimit-limit'));
    for (let round = 1; round <= 5; round += 1) {
      const values = Array.from({ length: 12 }, (_, index) => round * 10_000 + index);
      for (const answer of await Promise.all(values.map((value) => change({ 'api.rate_limit_per_min': value })))) good(answer);
      assert.equal(await limit(), (await one('api.rate_limit_per_min')).value);
    }
    good(await change({ 'api.rate_limit_per_min': null }));
  });

  test('the collision threshold, by a license that stays warm and without SQL', async () => {
    const license = await edge.license({ custom_limits: { max_ips: -1 } });
    const own = await edge.license({ custom_limits: { max_ips: -1, collision_auto_revoke: false } });
    const validate = async (key) => {
      const answer = await edge.validate(key, { ip: manyAddresses(1)[0] });
      return { code: answer.body.data.code, counts: answer.counts };
    };
    for (const { key } of [license, license, license, own, own, own]) assert.equal((await validate(key)).code, 'VALID');
    await byHand('license.collision_threshold', 1);
    await byHand('license.collision_auto_revoke', true);
    await eventually(async () => {
      const { code, counts: spent } = await validate(license.key);
      assert.deepEqual(spent, { db: 0, do: 1 });
      return code === 'SUSPENDED';
    }, A_MINUTE, 2000);
    assert.equal((await validate(own.key)).code, 'VALID', 'a license with its own rule keeps it');
    await eventually(async () => (await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id])).status === 'suspended');
  });

  test('and at once where it was changed', async () => {
    good(await change({ 'license.collision_threshold': 1000, 'license.collision_auto_revoke': true }));
    const license = await edge.license({ custom_limits: { max_ips: -1 } });
    for (const ip of manyAddresses(4)) assert.equal(await edge.code(license.key, { ip }), 'VALID');
    // A snapshot counts before settings that are not newer.
    await pause(20);
    good(await change({ 'license.collision_threshold': 2 }));
    assert.equal(await edge.code(license.key), 'SUSPENDED');
    good(await change({ 'license.collision_threshold': 10, 'license.collision_auto_revoke': false }));
  });

  test('nonsense written by hand stops no license', async () => {
    await byHand('license.collision_threshold', 'many');
    await stack.pg.query("DELETE FROM system_config WHERE key = 'license.collision_auto_revoke'");
    const license = await edge.license();
    assert.equal(await edge.code(license.key), 'VALID');
    good(await change({ 'license.collision_threshold': 10 }));
  });
});

// Last, because the worker is another one after it.
test('without keys for secrets nothing sensitive is taken, and everything else goes on', async () => {
  await stack.restart({ vars: { ENCRYPTION_KEY: null } });
  const { as } = await createOrganization(stack, { roles: ['super_admin'] });
  refused(await change({ 'email.api_key': SECRET, 'telemetry.retention_days': 7 }, as.super_admin), 503, 'SERVICE_UNAVAILABLE');
  const rows = await list(as.super_admin);
  assert.deepEqual([rows['email.api_key'].is_set, rows['telemetry.retention_days'].value], [false, 90]);
  good(await change({ 'telemetry.retention_days': 7 }, as.super_admin));
});
