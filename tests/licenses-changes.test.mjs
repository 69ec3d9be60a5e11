// Changing licenses: fields, renewals, suspension, cancellation. Each change leaves one audit row with
// what changed, one event, and is seen by the very next validation.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { about, addMonths, sameMoment } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, auditOf, createOrganization, createUser, eventsOf, insertLicense, rowOf } from './support/world.mjs';

const stack = await sharedStack();
let home;
let call;

before(async () => {
  home = await createOrganization(stack);
  call = home.as.developer;
});

const create = async (body) => good(await call('POST', '/api/licenses', { body: { plan_id: PLANS.free, ...body } }), 201);
const patch = (id, body, by = call) => by('PATCH', '/api/licenses/{id}', { id, body });
const act = (id, action, body = {}, by = call) => by('POST', `/api/licenses/{id}/${action}`, { id, body });
const cancel = (id) => call('DELETE', '/api/licenses/{id}', { id });
const read = async (id) => good(await call('GET', '/api/licenses/{id}', { id }));
const verdict = async (license) => good(await call('POST', '/api/licenses/validate', {
  body: { license_key: license.license_key, ip_address: '192.0.2.10' },
})).code;

/** Asserts that `change` left exactly one audit row and one event, and returns the row's changes. */
async function leavesOneTrace(id, event, action, change) {
  const [audited, published] = [await auditOf(stack, id), await eventsOf(stack, id)];
  const answer = await change();
  const rows = (await auditOf(stack, id)).slice(audited.length);
  const events = (await eventsOf(stack, id)).slice(published.length);
  assert.deepEqual(rows.map((row) => [row.event, row.action, row.resource_type]), [[event, action, 'license']], answer.text);
  assert.deepEqual(events.map(({ topic }) => topic), [event]);
  assert.ok(!('notes' in events[0].payload.license));
  return rows[0].changes;
}

/** Asserts that `change` wrote nothing. */
async function leavesNoTrace(id, change) {
  // Whether an event has been sent by now is not the change's doing.
  const events = async () => (await eventsOf(stack, id)).map(({ topic, payload }) => [topic, payload]);
  const state = async () => [await rowOf(stack, 'licenses', id), await auditOf(stack, id), await events()];
  const untouched = await state();
  const answer = await change();
  assert.deepEqual(await state(), untouched, answer?.text);
}

describe('PATCH', () => {
  test('another end is another day of the next bill', async () => {
    const license = await create({ starts_at: '2026-01-31T10:00:00Z', expires_at: '2099-05-31T23:30:00Z' });
    assert.equal(license.next_billing_date, '2099-05-31');
    const later = good(await patch(license.id, { expires_at: '2099-09-30T01:00:00+02:00' }));
    assert.equal(later.next_billing_date, '2099-09-29');
    assert.equal(good(await patch(license.id, { notes: 'n' })).next_billing_date, '2099-09-29');
    assert.equal(good(await patch(license.id, { expires_at: null })).next_billing_date, null);
  });

  test('absent stays, null clears, a value sets', async () => {
    const license = await create({ notes: 'n', owner_id: home.users.client, custom_limits: { max_ips: 2 }, metadata: { a: 1 } });
    const same = ['updated_at'];
    const without = (row) => Object.fromEntries(Object.entries(row).filter(([name]) => !same.includes(name)));
    const expect = async (body, changed) => assert.deepEqual(without(good(await patch(license.id, body))),
      without({ ...license, ...changed }));
    await expect({ notes: 'm' }, { notes: 'm' });
    await expect({ notes: null }, { notes: null });
    await expect({ owner_id: null }, { notes: null, owner_id: null });
    await expect({ custom_limits: null, metadata: null }, { notes: null, owner_id: null, custom_limits: null, metadata: {} });
    await expect({ notes: license.notes, owner_id: license.owner_id, custom_limits: license.custom_limits, metadata: license.metadata }, {});
    await expect({ plan_id: PLANS.starter, billing_cycle: 'yearly' }, { plan_id: PLANS.starter, billing_cycle: 'yearly' });
    assert.deepEqual(without(await read(license.id)), without({ ...license, plan_id: PLANS.starter, billing_cycle: 'yearly' }));
  });

  test('expiry: set, cleared', async () => {
    const license = await create();
    sameMoment(good(await patch(license.id, { expires_at: '2040-02-29T12:00:00+02:00' })).expires_at, '2040-02-29T10:00:00Z');
    assert.equal(good(await patch(license.id, { expires_at: null })).expires_at, null);
  });

  test('an expired license whose expiry is moved ahead works again', async () => {
    const license = await insertLicense(stack, home.id, { status: 'expired', starts_at: '2020-01-01', expires_at: '2021-01-01' });
    assert.equal(await verdict(license), 'EXPIRED');
    assert.equal(good(await patch(license.id, { expires_at: '2090-01-01' })).status, 'active');
    assert.equal(await verdict(license), 'VALID');
  });

  test('one audit row with the changed fields only, one event', async () => {
    const license = await create({ notes: 'before', metadata: { a: 1 } });
    const changes = await leavesOneTrace(license.id, 'license.updated', 'update', () => patch(license.id, { notes: 'after', metadata: { a: 1 } }));
    assert.deepEqual(changes, { before: { notes: 'before' }, after: { notes: 'after' } });
  });

  test('the end of a trial', async () => {
    const trial = await create({ trial_ends_at: new Date(Date.now() + 5 * 86_400_000) });
    const later = new Date(Date.now() + 9 * 86_400_000);
    sameMoment(good(await patch(trial.id, { trial_ends_at: later })).trial_ends_at, later);
    const changes = await leavesOneTrace(trial.id, 'license.updated', 'update', () => patch(trial.id, { trial_ends_at: null }));
    // A full license of a month has an end, and can be renewed.
    assert.deepEqual(Object.keys(changes.after).sort(), ['expires_at', 'next_billing_date', 'renewal_day', 'status', 'trial_ends_at']);
    const full = await read(trial.id);
    assert.equal(full.status, 'active');
    sameMoment(full.expires_at, addMonths(new Date(full.starts_at), 1));
    good(await call('POST', '/api/licenses/{id}/renew', { id: trial.id, body: {} }));
    const endless = await create({ trial_ends_at: later });
    assert.equal(good(await patch(endless.id, { trial_ends_at: null, expires_at: null })).expires_at, null);
    refusedFields(await patch(trial.id, { trial_ends_at: later }), 'trial_ends_at');
  });

  test('what is wrong is refused and changes nothing', async () => {
    const other = await createOrganization(stack, { roles: ['client'] });
    const license = await create({ starts_at: '2031-01-01' });
    await leavesNoTrace(license.id, async () => {
      refusedFields(await patch(license.id, { plan_id: randomUUID() }), 'plan_id');
      refusedFields(await patch(license.id, { owner_id: other.users.client }), 'owner_id');
      refusedFields(await patch(license.id, { owner_id: await createUser(stack, home.id, 'client', { deleted_at: new Date() }) }), 'owner_id');
      refusedFields(await patch(license.id, { expires_at: '2030-12-31' }), 'expires_at');
      refusedFields(await patch(license.id, { notes: 'x'.repeat(5001) }), 'notes');
      refusedFields(await patch(license.id, { metadata: { x: 'y'.repeat(17_000) } }), 'metadata');
      refusedFields(await patch(license.id, { custom_limits: { max_ips: -2 } }), 'custom_limits.max_ips');
      for (const body of [{ status: 'active' }, { license_key: 'x' }, { organization_id: other.id }, { starts_at: '2031-01-02' }, { product_id: null },
        { metadata: [] }, { notes: 1 }, { custom_limits: { max_ips: 'x' } }, { billing_cycle: 'weekly' }]) {
        refused(await patch(license.id, body), 400, 'INVALID_BODY');
      }
    });
  });

  test('new limits are seen by the next validation', async () => {
    const license = await create();
    assert.equal(await verdict(license), 'VALID');
    good(await patch(license.id, { custom_limits: { allowed_cidrs: ['203.0.113.0/24'] } }));
    assert.equal(await verdict(license), 'IP_NOT_ALLOWED');
    good(await patch(license.id, { custom_limits: null }));
    assert.equal(await verdict(license), 'VALID');
  });

  test('of 20 changes at the same time none is lost', async () => {
    const license = await create();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => patch(license.id, { notes: `note ${index}` })));
    for (const answer of answers) good(answer);
    const rows = (await auditOf(stack, license.id)).slice(1);
    assert.equal(rows.length, 20);
    for (const [index, { changes }] of rows.entries()) {
      assert.equal(changes.before.notes, index === 0 ? null : rows[index - 1].changes.after.notes);
    }
    assert.equal((await read(license.id)).notes, rows.at(-1).changes.after.notes);
  });
});

describe('renew', () => {
  const nextYear = new Date().getUTCFullYear() + 1;

  test('from the old expiry while it is ahead, by calendar months', async () => {
    const last = `${nextYear}-01-31T10:30:00.000Z`;
    for (const [months, expected] of [[1, addMonths(last, 1)], [2, `${nextYear}-03-31T10:30:00Z`], [12, `${nextYear + 1}-01-31T10:30:00Z`], [120, `${nextYear + 10}-01-31T10:30:00Z`]]) {
      const license = await insertLicense(stack, home.id, { expires_at: last });
      const renewed = good(await act(license.id, 'renew', { months }));
      sameMoment(renewed.expires_at, expected, `${months} months`);
      assert.equal(renewed.next_billing_date, renewed.expires_at.slice(0, 10));
    }
    const leap = await insertLicense(stack, home.id, { expires_at: '2048-01-31T00:00:00Z' });
    sameMoment(good(await act(leap.id, 'renew', { months: 1 })).expires_at, '2048-02-29');
  });

  test('to the same day of the month, through shorter months', async () => {
    const days = async (license, renewals) => {
      const ends = [];
      for (const months of renewals) ends.push(good(await act(license.id, 'renew', { months })).expires_at.slice(5, 10));
      return ends;
    };
    const end = `${nextYear + (nextYear % 4 === 0 ? 1 : 0)}-01-31T10:30:00Z`;
    const expected = ['02-28', '03-31', '05-31', '06-30'];
    const renewals = [1, 1, 2, 1];
    assert.deepEqual(await days(await insertLicense(stack, home.id, { starts_at: '2020-01-15', expires_at: end }), renewals), expected);
    assert.deepEqual(await days(await create({ starts_at: '2020-01-15', expires_at: end }), renewals), expected);
    const license = await create({ starts_at: '2020-01-15' });
    assert.equal(license.renewal_day, 15);
    const moved = good(await patch(license.id, { expires_at: end }));
    assert.equal(moved.renewal_day, 31);
    assert.deepEqual(await days(license, renewals), expected);
  });

  test('from now when it is over', async () => {
    for (const status of ['expired', 'active']) {
      const license = await insertLicense(stack, home.id, {
        status, starts_at: '2020-01-01', expires_at: new Date(Date.now() - 40 * 86_400_000),
      });
      const renewed = good(await act(license.id, 'renew', { months: 2 }));
      about(renewed.expires_at, addMonths(Date.now(), 2));
      assert.equal(renewed.status, 'active');
    }
  });

  test('by one billing cycle when no months are given', async () => {
    const expires = new Date(`${nextYear}-05-15T00:00:00Z`);
    for (const [cycle, months] of [['monthly', 1], ['quarterly', 3], ['yearly', 12], ['usage_based', 1]]) {
      const license = await insertLicense(stack, home.id, { billing_cycle: cycle, expires_at: expires });
      sameMoment(good(await act(license.id, 'renew')).expires_at, addMonths(expires, months), cycle);
    }
  });

  test('the body may be left out', async () => {
    const license = await insertLicense(stack, home.id);
    good(await call('POST', '/api/licenses/{id}/renew', { id: license.id }));
  });

  test('a trial becomes a full license', async () => {
    const license = await create({ trial_ends_at: new Date(Date.now() + 86_400_000) });
    const renewed = good(await act(license.id, 'renew', { months: 1 }));
    assert.deepEqual([renewed.status, renewed.trial_ends_at], ['active', null]);
  });

  test('a trial without an expiry of its own can be renewed too', async () => {
    const ends = new Date(Date.now() + 5 * 86_400_000);
    const license = await insertLicense(stack, home.id, { status: 'trial', trial_ends_at: ends, expires_at: null });
    const renewed = good(await act(license.id, 'renew', { months: 1 }));
    assert.equal(renewed.status, 'active');
    assert.ok(new Date(renewed.expires_at) > Date.now() + 27 * 86_400_000);
  });

  test('a suspended one stays suspended', async () => {
    const license = await insertLicense(stack, home.id, { status: 'suspended', suspended_at: new Date() });
    assert.equal(good(await act(license.id, 'renew')).status, 'suspended');
  });

  test('one audit row, one event', async () => {
    const license = await insertLicense(stack, home.id);
    const changes = await leavesOneTrace(license.id, 'license.renewed', 'update', () => act(license.id, 'renew', { months: 1 }));
    assert.deepEqual(Object.keys(changes.after).sort(), ['expires_at', 'next_billing_date', 'renewal_day']);
  });

  test('an expired license validates again at once', async () => {
    const license = await insertLicense(stack, home.id, { starts_at: '2020-01-01', expires_at: new Date(Date.now() - 1000), status: 'expired' });
    assert.equal(await verdict(license), 'EXPIRED');
    good(await act(license.id, 'renew'));
    assert.equal(await verdict(license), 'VALID');
  });

  test('what cannot be renewed', async () => {
    const lifetime = await create({ billing_cycle: 'lifetime' });
    await leavesNoTrace(lifetime.id, async () => {
      refused(await act(lifetime.id, 'renew'), 409, 'LICENSE_PERPETUAL');
      refused(await act(lifetime.id, 'renew', { months: 1 }), 409, 'LICENSE_PERPETUAL');
      for (const months of [0, 121]) refusedFields(await act(lifetime.id, 'renew', { months }), 'months');
      for (const months of [-1, 1.5, '1', 1e20]) refused(await act(lifetime.id, 'renew', { months }), 400, 'INVALID_BODY');
    });
    const far = await insertLicense(stack, home.id, { expires_at: '9999-12-01' });
    refusedFields(await act(far.id, 'renew', { months: 1 }), 'months');
  });

  test('of 10 at the same time each counts', async () => {
    const expires = new Date(`${nextYear}-03-01T00:00:00Z`);
    const license = await insertLicense(stack, home.id, { expires_at: expires });
    await Promise.all(Array.from({ length: 10 }, async () => good(await act(license.id, 'renew', { months: 1 }))));
    sameMoment((await read(license.id)).expires_at, addMonths(expires, 10));
  });
});

describe('revoke and reactivate', () => {
  test('a revocation is seen by the next validation, and lifted by a reactivation', async () => {
    const license = await create();
    assert.equal(await verdict(license), 'VALID');
    const changes = await leavesOneTrace(license.id, 'license.revoked', 'update', () => act(license.id, 'revoke', { reason: 'unpaid' }));
    assert.deepEqual(Object.keys(changes.after).sort(), ['status', 'suspended_at', 'suspension_reason']);
    assert.deepEqual([changes.before.status, changes.after.status, changes.after.suspension_reason], ['active', 'suspended', 'unpaid']);
    assert.equal(await verdict(license), 'SUSPENDED');
    const suspended = await read(license.id);
    about(suspended.suspended_at, Date.now());
    const back = await leavesOneTrace(license.id, 'license.reactivated', 'update', () => act(license.id, 'reactivate'));
    assert.deepEqual(back.after, { status: 'active', suspended_at: null, suspension_reason: null });
    assert.equal(await verdict(license), 'VALID');
  });

  test('without a reason', async () => {
    const license = await create();
    const revoked = good(await call('POST', '/api/licenses/{id}/revoke', { id: license.id }));
    assert.deepEqual([revoked.status, revoked.suspension_reason], ['suspended', null]);
  });

  test('a reactivated license is what it would be without the suspension', async () => {
    for (const [more, status] of [
      [{ trial_ends_at: new Date(Date.now() + 86_400_000) }, 'trial'],
      [{ starts_at: '2020-01-01', expires_at: '2021-01-01' }, 'expired'],
      [{ expires_at: null }, 'active'],
      [{}, 'active'],
    ]) {
      const license = await insertLicense(stack, home.id, { status: 'suspended', suspended_at: new Date(), suspension_reason: 'x', ...more });
      const back = good(await act(license.id, 'reactivate'));
      assert.deepEqual([back.status, back.suspension_reason, back.suspended_at], [status, null, null]);
    }
  });

  test('twice is a conflict', async () => {
    const license = await create();
    refused(await act(license.id, 'reactivate'), 409, 'LICENSE_STATUS_CONFLICT');
    good(await act(license.id, 'revoke'));
    await leavesNoTrace(license.id, async () => refused(await act(license.id, 'revoke', { reason: 'again' }), 409, 'LICENSE_STATUS_CONFLICT'));
  });

  test('of 10 revocations at the same time one wins', async () => {
    const license = await create();
    const answers = await Promise.all(Array.from({ length: 10 }, () => act(license.id, 'revoke')));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(9).fill(409)]);
    assert.equal((await auditOf(stack, license.id)).filter(({ event }) => event === 'license.revoked').length, 1);
  });

  test('bad bodies', async () => {
    const license = await create();
    await leavesNoTrace(license.id, async () => {
      refusedFields(await act(license.id, 'revoke', { reason: 'x'.repeat(1001) }), 'reason');
      for (const body of [{ reason: 1 }, { why: 'x' }]) refused(await act(license.id, 'revoke', body), 400, 'INVALID_BODY');
      refused(await act(license.id, 'reactivate', { reason: 'x' }), 400, 'INVALID_BODY');
    });
  });
});

describe('DELETE', () => {
  test('is for good', async () => {
    const license = await create();
    assert.equal(await verdict(license), 'VALID');
    const changes = await leavesOneTrace(license.id, 'license.cancelled', 'delete', () => cancel(license.id));
    assert.deepEqual(Object.keys(changes.after).sort(), ['cancelled_at', 'status']);
    assert.equal(await verdict(license), 'CANCELLED');
    const cancelled = await read(license.id);
    assert.equal(cancelled.status, 'cancelled');
    about(cancelled.cancelled_at, Date.now());
    await leavesNoTrace(license.id, async () => {
      refused(await act(license.id, 'reactivate'), 409, 'LICENSE_CANCELLED');
      refused(await act(license.id, 'revoke'), 409, 'LICENSE_CANCELLED');
      refused(await act(license.id, 'renew'), 409, 'LICENSE_CANCELLED');
      refused(await patch(license.id, { notes: 'x' }), 409, 'LICENSE_CANCELLED');
      refused(await act(license.id, 'bind-ip', { ip_address: '192.0.2.1' }), 409, 'LICENSE_CANCELLED');
    });
  });

  test('again changes nothing and is no error', async () => {
    const license = await create();
    good(await cancel(license.id), 204);
    await leavesNoTrace(license.id, async () => good(await cancel(license.id), 204));
  });

  test('works from every state', async () => {
    for (const status of ['suspended', 'expired', 'trial']) {
      const license = await insertLicense(stack, home.id, { status });
      good(await cancel(license.id), 204);
      assert.equal((await read(license.id)).status, 'cancelled');
    }
  });
});
