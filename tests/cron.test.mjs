// The jobs of the clock. Each is run twice: the second run changes nothing more.

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { caller, eventually, good } from './support/api.mjs';
import { addMonths, sameMoment } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, auditOf, createOrganization, eventsOf, insert, insertLicense, rowOf } from './support/world.mjs';

const OUTBOX = '* * * * *';
const EXPIRIES = '*/5 * * * *';
const USAGE = '17 * * * *';
const PARTITIONS = '37 2 * * *';

const stack = await sharedStack();
let home;

before(async () => {
  home = await createOrganization(stack, { roles: ['admin', 'super_admin'] });
});

const ago = (seconds) => new Date(Date.now() - seconds * 1000);
const ahead = (seconds) => ago(-seconds);
const DAY = 86_400;

describe('expiries', () => {
  test('expire what is due, once, audited and published by the system', async () => {
    const due = [
      await insertLicense(stack, home.id, { starts_at: '2020-01-01', expires_at: ago(60) }),
      await insertLicense(stack, home.id, { status: 'trial', starts_at: '2020-01-01', expires_at: null, trial_ends_at: ago(60) }),
      await insertLicense(stack, home.id, { status: 'trial', starts_at: '2020-01-01', expires_at: ago(60), trial_ends_at: ahead(DAY) }),
    ];
    const kept = [
      await insertLicense(stack, home.id, { expires_at: ahead(60) }),
      await insertLicense(stack, home.id, { expires_at: null }),
      await insertLicense(stack, home.id, { status: 'trial', expires_at: null, trial_ends_at: ahead(60) }),
      await insertLicense(stack, home.id, { status: 'suspended', starts_at: '2020-01-01', expires_at: ago(60) }),
      await insertLicense(stack, home.id, { status: 'cancelled', starts_at: '2020-01-01', expires_at: ago(60) }),
    ];
    const state = async () => Promise.all([...due, ...kept].map(async ({ id }) => [await rowOf(stack, 'licenses', id), await auditOf(stack, id),
      (await eventsOf(stack, id)).map(({ topic }) => topic)]));

    await stack.triggerCron(EXPIRIES);
    await eventually(async () => (await rowOf(stack, 'licenses', due[2].id)).status === 'expired');
    const first = await state();
    for (const [index, { status }] of due.entries()) {
      const [row, audited, topics] = first[index];
      assert.equal(row.status, 'expired');
      assert.deepEqual(audited.map(({ event, actor_kind: kind, user_id: user }) => [event, kind, user]), [['license.expired', 'system', null]]);
      assert.match(audited[0].request_id, /^cron:expiries@/);
      assert.deepEqual(audited[0].changes, { before: { status }, after: { status: 'expired' } });
      assert.deepEqual(topics, ['license.expired']);
    }
    for (const [index, { status }] of kept.entries()) {
      const [row, audited] = first[due.length + index];
      assert.deepEqual([row.status, audited], [status, []]);
    }

    await stack.triggerCron(EXPIRIES);
    assert.deepEqual(await state(), first);
  });

  test('tell the objects', async () => {
    const license = await insertLicense(stack, home.id);
    const code = async () => good(await caller(stack)('POST', '/api/licenses/validate', {
      body: { license_key: license.license_key, ip_address: '192.0.2.1' },
    })).code;
    assert.equal(await code(), 'VALID');
    await stack.pg.query("UPDATE licenses SET expires_at = now() - interval '1 second' WHERE id = $1", [license.id]);
    await stack.triggerCron(EXPIRIES);
    await eventually(async () => (await code()) === 'EXPIRED');
  });

  test('more than one step of work', async () => {
    const crowd = await createOrganization(stack, { roles: [] });
    for (let index = 0; index < 210; index += 1) await insertLicense(stack, crowd.id, { starts_at: '2020-01-01', expires_at: ago(60) });
    await stack.triggerCron(EXPIRIES);
    await eventually(async () => {
      const { rows } = await stack.pg.query("SELECT count(*)::int FROM licenses WHERE organization_id = $1 AND status = 'expired'", [crowd.id]);
      return rows[0].count === 210;
    }, 60_000);
    const { rows } = await stack.pg.query('SELECT count(*)::int, count(DISTINCT resource_id)::int AS licenses FROM audit_logs WHERE organization_id = $1', [crowd.id]);
    assert.deepEqual(rows, [{ count: 210, licenses: 210 }]);
  });
});

describe('usage periods', () => {
  const year = new Date().getUTCFullYear() - 1;

  /** The closed periods of a license, oldest first. */
  const periods = async (id) => (await stack.pg.query(
    'SELECT period_start, period_end, ai_requests_count::int, validations_count::int, storage_bytes::int FROM license_usage_log WHERE license_id = $1 ORDER BY period_start', [id])).rows;

  test('roll up to now; the 31st does not drift', async () => {
    const start = new Date(Date.UTC(year, 0, 31, 8, 30));
    const license = await insertLicense(stack, home.id, {
      starts_at: start, expires_at: ahead(400 * DAY), current_period_start: start, current_period_end: addMonths(start, 1), ai_requests_used: 7, storage_used_bytes: 11,
    });
    const count = (at, validations) => insert(stack, 'license_usage_counts', {
      license_id: license.id, organization_id: home.id, period_start: at, validations,
    });
    await count(start, 1);
    await count(addMonths(start, 1), 2);
    await stack.triggerCron(USAGE);
    await eventually(async () => (await rowOf(stack, 'licenses', license.id)).current_period_end > new Date());

    const closed = await periods(license.id);
    const row = await rowOf(stack, 'licenses', license.id);
    assert.ok(closed.length >= 12, `${closed.length} periods`);
    for (const [index, period] of closed.entries()) {
      sameMoment(period.period_start, addMonths(start, index));
      sameMoment(period.period_end, addMonths(start, index + 1));
    }
    sameMoment(row.current_period_start, addMonths(start, closed.length));
    sameMoment(row.current_period_end, addMonths(start, closed.length + 1));
    assert.deepEqual(closed.slice(0, 3).map(({ ai_requests_count: ai, validations_count: count }) => [ai, count]), [[7, 1], [0, 2], [0, 0]]);
    assert.deepEqual([Number(row.ai_requests_used), Number(row.storage_used_bytes), closed[0].storage_bytes], [0, 11, 11]);

    // What was logged after its period was closed is added to it.
    await count(start, 1);
    await stack.triggerCron(USAGE);
    await eventually(async () => (await periods(license.id))[0].validations_count === 2);
    closed[0].validations_count = 2;
    assert.deepEqual(await periods(license.id), closed);
    assert.deepEqual(await rowOf(stack, 'licenses', license.id), row);
  });

  test('leave what is not due or cancelled', async () => {
    const [start, end] = [ago(40 * DAY), ago(10 * DAY)];
    const kept = [
      await insertLicense(stack, home.id, { status: 'cancelled', starts_at: start, current_period_start: start, current_period_end: end }),
      await insertLicense(stack, home.id, { current_period_start: ago(DAY), current_period_end: ahead(60) }),
      await insertLicense(stack, home.id),
    ];
    const due = await insertLicense(stack, home.id, { status: 'suspended', starts_at: start, current_period_start: start, current_period_end: addMonths(start, 1) });
    await stack.triggerCron(USAGE);
    await eventually(async () => (await periods(due.id)).length === 1);
    for (const { id } of kept) assert.deepEqual(await periods(id), []);
  });

  test('a period that was already written is not written twice', async () => {
    const start = ago(40 * DAY);
    const license = await insertLicense(stack, home.id, { starts_at: start, current_period_start: start, current_period_end: addMonths(start, 1) });
    await insert(stack, 'license_usage_log', {
      license_id: license.id, organization_id: home.id, period_start: start, period_end: addMonths(start, 1), ai_requests_count: 5,
    });
    await stack.triggerCron(USAGE);
    await eventually(async () => (await rowOf(stack, 'licenses', license.id)).current_period_start > start);
    assert.deepEqual((await periods(license.id)).map(({ ai_requests_count: ai }) => ai), [5]);
  });
});

describe('the outbox', () => {
  const message = async (more) => {
    const id = randomUUID();
    await insert(stack, 'outbox_messages', { id, organization_id: home.id, topic: 'license.updated', payload: { license: { id: randomUUID() } }, ...more });
    return id;
  };

  test('what was left is sent, once; what is young or not yet due waits', async () => {
    const old = await message({ available_at: ago(60) });
    const young = await message({ available_at: ahead(3600) });
    await stack.triggerCron(OUTBOX);
    const sent = await eventually(async () => {
      const row = await rowOf(stack, 'outbox_messages', old);
      return row.sent_at && row;
    });
    assert.equal((await rowOf(stack, 'outbox_messages', young)).sent_at, null);
    await stack.triggerCron(OUTBOX);
    const again = await rowOf(stack, 'outbox_messages', old);
    assert.deepEqual([again.sent_at, again.attempts], [sent.sent_at, sent.attempts]);
  });

  test('what a queue took and lost is sent again, until a consumer says it is done', async () => {
    const lost = await message({ available_at: ago(1), sent_at: ago(61), attempts: 1 });
    const underway = await message({ available_at: ahead(59), sent_at: ago(1), attempts: 1 });
    await stack.triggerCron(OUTBOX);
    await eventually(async () => (await rowOf(stack, 'outbox_messages', lost)).processed_at);
    assert.equal((await rowOf(stack, 'outbox_messages', underway)).processed_at, null);
  });

  test('more than one step of work', async () => {
    const ids = await Promise.all(Array.from({ length: 230 }, () => message({ available_at: ago(60) })));
    await stack.triggerCron(OUTBOX);
    await eventually(async () => {
      const { rows } = await stack.pg.query('SELECT count(*)::int FROM outbox_messages WHERE id = ANY ($1) AND sent_at IS NULL', [ids]);
      return rows[0].count === 0;
    }, 30_000);
  });

  test('what tells many licenses of a change step by step takes each step once, however often it arrives', async () => {
    const other = await createOrganization(stack, { roles: ['admin'] });
    await stack.pg.query(
      `INSERT INTO licenses (organization_id, plan_id, license_key, status, starts_at, expires_at, billing_cycle)
       SELECT $1::uuid, $2, $1::uuid::text || n, 'active', now(), now() + interval '1 year', 'yearly' FROM generate_series(1, 450) AS n`, [other.id, PLANS.professional]);
    const [id, payload] = [randomUUID(), { whose: { organization: other.id }, after: null }];
    await insert(stack, 'outbox_messages', { id, topic: 'licenses.changed', payload, available_at: ahead(3600) });
    // As a queue does that delivers it again and again.
    for (const space of ['', ' ', '  ']) {
      const body = `${space}${JSON.stringify({ id, organization_id: null, topic: 'licenses.changed', payload, created_at: new Date() })}`;
      const letter = randomUUID();
      await insert(stack, 'dead_letters', {
        id: letter, queue: 'celaest-events', body, body_hash: createHash('sha256').update(body).digest('hex'), reason: 'Test', queued_at: new Date(),
      });
      good(await home.as.super_admin('POST', '/api/system/dead-letters/{id}/replay', { id: letter, body: {} }), 202);
    }
    const steps = async () => (await stack.pg.query(
      "SELECT count(*)::int AS made, count(processed_at)::int AS done FROM outbox_messages WHERE payload->'whose'->>'organization' = $1", [other.id])).rows[0];
    await eventually(async () => (await steps()).done >= 3, 30_000);
    await sleep(3000);
    assert.deepEqual(await steps(), { made: 3, done: 3 });
  });

  test('a change that could not tell the object reaches it in the end', async () => {
    const license = await insertLicense(stack, home.id);
    const code = async () => good(await caller(stack)('POST', '/api/licenses/validate', {
      body: { license_key: license.license_key, ip_address: '192.0.2.1' },
    })).code;
    assert.equal(await code(), 'VALID');
    // As a worker leaves it that died between the commit and the notice.
    await stack.pg.query("UPDATE licenses SET status = 'suspended' WHERE id = $1", [license.id]);
    await message({ available_at: ago(60), payload: { license: { id: license.id, license_key: license.license_key } } });
    await stack.triggerCron(OUTBOX);
    await eventually(async () => (await code()) === 'SUSPENDED');
  });
});

describe('partitions', () => {
  const partitions = async () => (await stack.pg.query(
    "SELECT relname FROM pg_class WHERE relname ~ '_y\\d{4}m\\d{2}$' ORDER BY 1")).rows.map(({ relname }) => relname);

  test('are kept three months ahead, and what has served its purpose goes', async () => {
    const complete = await partitions();
    const [first, last] = [new Date(), addMonths(new Date(), 3)];
    const name = (month) => `audit_logs_y${month.getUTCFullYear()}m${String(month.getUTCMonth() + 1).padStart(2, '0')}`;
    assert.ok(complete.includes(name(first)) && complete.includes(name(last)), complete.join(' '));
    await stack.pg.query(`DROP TABLE ${name(last)}`);

    const [stale, fresh] = [randomUUID(), randomUUID()];
    for (const [key, expires] of [[stale, ago(60)], [fresh, ahead(3600)]]) {
      await insert(stack, 'idempotency_keys', { caller: 'test', key, method: 'POST', path: '/', request_hash: 'x', expires_at: expires });
    }
    const processed = async (days) => {
      const [id, at] = [randomUUID(), ago(days * DAY)];
      await insert(stack, 'outbox_messages', { id, topic: 'license.updated', payload: {}, sent_at: at, processed_at: at });
      return id;
    };
    const [old, recent] = [await processed(9), await processed(7)];
    const session = async (days, more = {}) => {
      const id = randomUUID();
      await insert(stack, 'user_sessions', { id, user_id: home.users.admin, organization_id: home.id, session_token: id, last_seen_at: ago(days * DAY), ...more });
      return id;
    };
    const [unused, used] = [await session(91), await session(89)];
    const ended = await session(91, { is_active: false, ended_at: ago(91 * DAY) });
    const webhook = randomUUID();
    await insert(stack, 'webhooks', {
      id: webhook, organization_id: home.id, user_id: home.users.admin, name: 'Old', url: 'https://example.com', secret_hash: 'x', secret_encrypted: Buffer.alloc(0),
    });
    const delivery = async (days) => {
      const id = randomUUID();
      await insert(stack, 'webhook_deliveries', { id, webhook_id: webhook, organization_id: home.id, event_id: randomUUID(), event_type: 'x.y', created_at: ago(days * DAY) });
      return id;
    };
    const [stored, kept] = [await delivery(91), await delivery(89)];

    for (let run = 0; run < 2; run += 1) {
      await stack.triggerCron(PARTITIONS);
      await eventually(async () => (await partitions()).length === complete.length && !(await rowOf(stack, 'outbox_messages', old)));
      assert.deepEqual(await partitions(), complete);
      const { rows } = await stack.pg.query('SELECT key FROM idempotency_keys WHERE key = ANY ($1)', [[stale, fresh]]);
      assert.deepEqual(rows, [{ key: fresh }]);
      assert.ok(await rowOf(stack, 'outbox_messages', recent));
      await eventually(async () => !(await rowOf(stack, 'user_sessions', unused)) && !(await rowOf(stack, 'webhook_deliveries', stored)));
      for (const id of [used, ended]) assert.ok(await rowOf(stack, 'user_sessions', id));
      assert.ok(await rowOf(stack, 'webhook_deliveries', kept));
    }
  });
});
