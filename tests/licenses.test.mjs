// Creating, reading and listing licenses.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { about, addMonths, sameMoment } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { checksum } from './support/tokens.mjs';
import { PLANS, auditOf, createOrganization, createProduct, createUser, eventsOf, insert, insertLicense, rowOf } from './support/world.mjs';

const stack = await sharedStack();
let home;
let other;
let call;

before(async () => {
  home = await createOrganization(stack);
  other = await createOrganization(stack);
  call = home.as.developer;
});

const create = (body, by = call) => by('POST', '/api/licenses', { body: { plan_id: PLANS.free, ...body } });
const read = (id, by = call) => by('GET', '/api/licenses/{id}', { id });

describe('create', () => {
  test('with nothing but a plan', async () => {
    const license = good(await create(), 201);
    assert.equal(license.organization_id, home.id);
    assert.equal(license.status, 'active');
    assert.equal(license.billing_cycle, 'monthly');
    about(license.starts_at, Date.now());
    sameMoment(license.expires_at, addMonths(license.starts_at, 1));
    assert.equal(license.next_billing_date, license.expires_at.slice(0, 10));
    sameMoment(license.current_period_start, license.starts_at);
    sameMoment(license.current_period_end, addMonths(license.starts_at, 1));
    for (const name of ['owner_id', 'product_id', 'trial_ends_at', 'custom_limits', 'notes', 'suspension_reason', 'suspended_at', 'cancelled_at']) {
      assert.equal(license[name], null, name);
    }
    assert.deepEqual([license.metadata, license.ai_requests_used, license.storage_used_bytes], [{}, 0, 0]);
    assert.deepEqual(good(await read(license.id)), license);
  });

  test('the key carries the product and a checksum of our secret', async () => {
    for (const product of [home.product, null]) {
      const { license_key: key } = good(await create({ product_id: product?.id }), 201);
      const [, signed, code, sum] = key.match(/^(CELAEST-([A-Z0-9]{1,10})-[0-9A-HJKMNP-TV-Z]{8})-([0-9A-HJKMNP-TV-Z]{4})$/) ?? [];
      assert.equal(code, product?.code ?? 'GEN', key);
      assert.equal(sum, checksum(stack.vars, signed));
    }
  });

  test('keys are never the same', async () => {
    const keys = await Promise.all(Array.from({ length: 25 }, async () => good(await create(), 201).license_key));
    assert.equal(new Set(keys).size, 25);
  });

  test('with everything', async () => {
    const body = {
      organization_id: home.id,
      product_id: home.product.id,
      owner_id: home.users.client,
      billing_cycle: 'yearly',
      starts_at: '2031-01-31T06:00:00-06:00',
      custom_limits: { max_ips: -1, allowed_cidrs: ['203.0.113.0/24', '2001:db8::/32'], collision_threshold: 3, collision_auto_revoke: true, max_users: 7 },
      notes: "Robert'); DROP TABLE licenses; -- ñ 漢字 🙂 \\ \" \n",
      metadata: { nested: { list: [1, 2.5, null, 'x'] }, '\\u0000': '\\u0000' },
    };
    const license = good(await create(body), 201);
    for (const name of ['product_id', 'owner_id', 'billing_cycle', 'custom_limits', 'notes', 'metadata']) {
      assert.deepEqual(license[name], body[name], name);
    }
    sameMoment(license.starts_at, '2031-01-31T12:00:00Z');
    sameMoment(license.expires_at, '2032-01-31T12:00:00Z');
    assert.deepEqual(good(await read(license.id)), license);
  });

  test('each billing cycle has its first expiry', async () => {
    const starts = { starts_at: '2031-08-31' };
    for (const [cycle, expiry] of [['monthly', '2031-09-30'], ['usage_based', '2031-09-30'], ['quarterly', '2031-11-30'], ['yearly', '2032-08-31']]) {
      const license = good(await create({ ...starts, billing_cycle: cycle }), 201);
      sameMoment(license.expires_at, expiry, cycle);
    }
    const lifetime = good(await create({ ...starts, billing_cycle: 'lifetime' }), 201);
    assert.deepEqual([lifetime.expires_at, lifetime.next_billing_date], [null, null]);
    const given = good(await create({ ...starts, expires_at: '2040-02-29T23:59:59.123Z' }), 201);
    sameMoment(given.expires_at, '2040-02-29T23:59:59.123Z');
  });

  test('a trial', async () => {
    const ends = new Date(Date.now() + 14 * 86_400_000);
    const license = good(await create({ trial_ends_at: ends }), 201);
    assert.equal(license.status, 'trial');
    sameMoment(license.trial_ends_at, ends);
  });

  test('a trial runs to its end, also beyond the first billing cycle', async () => {
    const ends = new Date(Date.now() + 60 * 86_400_000);
    const { expires_at: expiry } = good(await create({ trial_ends_at: ends }), 201);
    assert.ok(expiry === null || new Date(expiry) >= ends, `expires ${expiry}, trial until ${ends.toISOString()}`);
  });

  test('a start long ago opens the period that is running now', async () => {
    for (const start of ['2020-01-31', '1970-01-01']) {
      const license = good(await create({ starts_at: start, expires_at: '2090-01-01' }), 201);
      const [first, last] = [new Date(license.current_period_start), new Date(license.current_period_end)];
      assert.ok(first <= Date.now() && Date.now() < last, `${license.current_period_start} to ${license.current_period_end}`);
      const months = (first.getUTCFullYear() - Number(start.slice(0, 4))) * 12 + first.getUTCMonth();
      sameMoment(first, addMonths(`${start}T00:00:00Z`, months));
      sameMoment(last, addMonths(`${start}T00:00:00Z`, months + 1));
    }
  });

  test('values out of bounds', async () => {
    const limits = (custom_limits) => create({ custom_limits });
    refusedFields(await limits({ max_ips: -2 }), 'custom_limits.max_ips');
    refusedFields(await limits({ max_ips: 10_001 }), 'custom_limits.max_ips');
    refusedFields(await limits({ max_ips: -2, max_users: -2 }), 'custom_limits.max_ips', 'custom_limits.max_users');
    refusedFields(await limits({ collision_threshold: 0 }), 'custom_limits.collision_threshold');
    for (const network of ['300.0.0.0/8', '10.0.0.0/33', '2001:db8::/129', '10.0.0.0/-1', '10.0.0.0/', 'x', '', '10.0.0.0/8/8', '10.0.0.0/8 ']) {
      refusedFields(await limits({ allowed_cidrs: ['192.0.2.0/24', network] }), 'custom_limits.allowed_cidrs');
    }
    refusedFields(await limits({ allowed_cidrs: Array(101).fill('192.0.2.0/24') }), 'custom_limits.allowed_cidrs');
    refusedFields(await create({ notes: 'x'.repeat(5001) }), 'notes');
    refusedFields(await create({ metadata: { x: 'y'.repeat(17_000) } }), 'metadata');
    good(await create({ notes: '漢'.repeat(5000) }), 201);
  });

  test('values of the wrong type', async () => {
    for (const body of [{ custom_limits: { max_ips: '5' } }, { custom_limits: { max_ips: 1.5 } }, { custom_limits: { surprise: 1 } }, { custom_limits: [] },
      { custom_limits: { allowed_cidrs: '10.0.0.0/8' } }, { custom_limits: { max_ips: 1e20 } }, { billing_cycle: 'weekly' }, { metadata: [] },
      { notes: 5 }, { plan_id: 'x' }, { plan_id: null }, { owner_id: 1 }, { expires_at: 1_900_000_000 }, { expires_at: '' },
      { starts_at: '+300000-01-01T00:00:00Z' }, { starts_at: '2031-02-30' }, { starts_at: '2031-01-01 00:00' }, { license_key: 'CELAEST-X' },
      { status: 'active' }, { id: randomUUID() }]) {
      refused(await create(body), 400, 'INVALID_BODY');
    }
  });

  test('dates out of order', async () => {
    refusedFields(await create({ starts_at: '2031-01-01', expires_at: '2030-12-31' }), 'expires_at');
    refusedFields(await create({ starts_at: '2031-01-01', expires_at: '2031-01-01' }), 'expires_at');
    refusedFields(await create({ starts_at: '2031-01-01', trial_ends_at: '2030-12-31' }), 'trial_ends_at');
    refusedFields(await create({ starts_at: '9999-12-31' }), 'starts_at');
  });

  test('what is not there, or somebody else\'s', async () => {
    const retired = randomUUID();
    await insert(stack, 'subscription_plans', { id: retired, code: `p-${retired}`, name: 'Retired', is_active: false });
    const deletedProduct = await createProduct(stack, home.id, { deleted_at: new Date() });
    const deletedUser = await createUser(stack, home.id, 'client', { deleted_at: new Date() });
    const untouched = (await stack.pg.query('SELECT count(*) FROM licenses WHERE organization_id = ANY ($1)', [[home.id, other.id]])).rows;
    for (const [name, ids] of Object.entries({
      plan_id: [randomUUID(), retired],
      product_id: [randomUUID(), other.product.id, deletedProduct.id],
      owner_id: [randomUUID(), other.users.client, deletedUser],
      organization_id: [randomUUID(), other.id],
    })) {
      for (const id of ids) refusedFields(await create({ [name]: id }), name);
    }
    refusedFields(await create({ organization_id: randomUUID() }, home.as.super_admin), 'organization_id');
    assert.deepEqual((await stack.pg.query('SELECT count(*) FROM licenses WHERE organization_id = ANY ($1)', [[home.id, other.id]])).rows, untouched);
  });

  test('a super administrator creates for any organization', async () => {
    const license = good(await create({ organization_id: other.id, product_id: other.product.id }, home.as.super_admin), 201);
    assert.equal(license.organization_id, other.id);
    assert.equal(good(await create({}, home.as.super_admin), 201).organization_id, home.id);
    good(await read(license.id, other.as.viewer));
    refused(await read(license.id, home.as.admin), 404, 'LICENSE_NOT_FOUND');
  });

  test('is audited and published once, without the key in the log or the notes outside', async () => {
    const license = good(await create({ notes: 'internal', owner_id: home.users.client }), 201);
    const [audit, ...more] = await auditOf(stack, license.id);
    assert.deepEqual(more, []);
    assert.deepEqual([audit.event, audit.action, audit.resource_type, audit.actor_kind, audit.user_id, audit.organization_id],
      ['license.created', 'create', 'license', 'user', home.users.developer, home.id]);
    assert.deepEqual(audit.changes.before, {});
    assert.equal(audit.changes.after.notes, 'internal');
    assert.ok(!JSON.stringify(audit.changes).includes(license.license_key));
    const [event, ...others] = await eventsOf(stack, license.id);
    assert.deepEqual(others, []);
    assert.deepEqual([event.topic, event.organization_id], ['license.created', home.id]);
    assert.equal(event.payload.license.license_key, license.license_key);
    assert.ok(!('notes' in event.payload.license));
  });

  test('a new license validates at once', async () => {
    const license = good(await create({ product_id: home.product.id }), 201);
    const verdict = good(await call('POST', '/api/licenses/validate', { body: { license_key: license.license_key } }));
    assert.deepEqual([verdict.valid, verdict.code], [true, 'VALID']);
  });
});

describe('list', () => {
  let home2;
  let rows;
  const list = async (query, by = home2.as.viewer) => {
    const answer = await by('GET', '/api/licenses', { query });
    return { ids: good(answer).map(({ id }) => id), meta: answer.body.meta, rows: answer.data };
  };
  const STATUSES = ['active', 'suspended', 'expired', 'cancelled', 'trial'];

  before(async () => {
    home2 = await createOrganization(stack);
    rows = [];
    for (let index = 0; index < 25; index += 1) {
      const starts = new Date(Date.UTC(2031, 0, 1 + index));
      rows.push(await insertLicense(stack, home2.id, {
        status: STATUSES[index % 5],
        plan_id: index % 2 ? PLANS.starter : PLANS.free,
        product_id: index % 3 === 0 ? home2.product.id : null,
        owner_id: index < 4 ? home2.users.client : null,
        starts_at: starts,
        expires_at: index === 24 ? null : new Date(+starts + 10 * 86_400_000),
        created_at: new Date(Date.UTC(2030, 0, 1 + index)),
        notes: index === 7 ? 'Contract 100%_\\ Ñandú' : index === 2 ? 'secret of the vendor' : null,
      }));
    }
  });

  const idsOf = (test) => rows.filter(test).map(({ id }) => id).sort();

  test('newest first, twenty on a page, counted exactly', async () => {
    const first = await list({});
    assert.deepEqual(first.ids, rows.slice(5).reverse().map(({ id }) => id));
    assert.deepEqual(first.meta, { page: 1, per_page: 20, total: 25, total_pages: 2 });
    const second = await list({ page: 2 });
    assert.deepEqual(second.ids, rows.slice(0, 5).reverse().map(({ id }) => id));
    assert.deepEqual((await list({ page: 3 })).ids, []);
  });

  test('pages of any size hold every row once', async () => {
    for (const size of [1, 7, 25, 100]) {
      const ids = [];
      for (let page = 1; page <= Math.ceil(25 / size); page += 1) {
        const part = await list({ page, per_page: size, sort: 'status' });
        assert.deepEqual(part.meta, { page, per_page: size, total: 25, total_pages: Math.ceil(25 / size) });
        ids.push(...part.ids);
      }
      assert.deepEqual(ids.sort(), idsOf(() => true));
    }
  });

  test('every filter', async () => {
    for (const [query, test] of [
      [{ status: 'suspended' }, ({ status }) => status === 'suspended'],
      [{ status: 'trial', plan_id: PLANS.free }, ({ status, plan_id: plan }) => status === 'trial' && plan === PLANS.free],
      [{ product_id: home2.product.id }, ({ product_id: product }) => product === home2.product.id],
      [{ plan_id: PLANS.starter }, ({ plan_id: plan }) => plan === PLANS.starter],
      [{ owner_id: home2.users.client }, ({ owner_id: owner }) => owner],
      [{ created_after: '2030-01-11', created_before: '2030-01-15T00:00:00Z' }, ({ created_at: at }) => at >= Date.UTC(2030, 0, 11) && at < Date.UTC(2030, 0, 15)],
      [{ expires_after: '2031-01-20' }, ({ expires_at: at }) => at && at >= Date.UTC(2031, 0, 20)],
      [{ expires_before: '2031-01-20' }, ({ expires_at: at }) => at && at < Date.UTC(2031, 0, 20)],
      [{ product_id: randomUUID() }, () => false],
    ]) {
      const { ids, meta } = await list({ per_page: 100, ...query });
      assert.deepEqual(ids.sort(), idsOf(test), JSON.stringify(query));
      assert.equal(meta.total, ids.length);
    }
  });

  test('search: part of the key, the notes, the holder\'s address, taken literally', async () => {
    const find = async (search, by) => (await list({ search, per_page: 100 }, by)).ids.sort();
    assert.deepEqual(await find(rows[3].license_key.slice(8)), [rows[3].id]);
    assert.deepEqual(await find(rows[3].license_key.toLowerCase()), [rows[3].id]);
    assert.deepEqual(await find('100%_\\'), [rows[7].id]);
    assert.deepEqual(await find('Ñandú'), [rows[7].id]);
    assert.deepEqual(await find(home2.users.client), idsOf(({ owner_id: owner }) => owner));
    for (const nothing of ['%', '_', "' OR '1'='1", '\\', 'no such thing']) {
      const expected = nothing === '%' || nothing === '_' || nothing === '\\' ? [rows[7].id] : [];
      assert.deepEqual(await find(nothing), expected, nothing);
    }
    assert.equal((await list({ search: '' })).meta.total, 25);
  });

  test('every sorting, both ways, and rows without the value last', async () => {
    for (const sort of ['created_at', 'starts_at', 'expires_at']) {
      const ascending = rows.map(({ id }) => id);
      assert.deepEqual((await list({ sort, order: 'asc', per_page: 100 })).ids, ascending, sort);
      const descending = sort === 'expires_at' ? [...ascending.slice(0, 24).reverse(), ascending[24]] : ascending.toReversed();
      assert.deepEqual((await list({ sort, order: 'desc', per_page: 100 })).ids, descending, sort);
    }
    const byStatus = (await list({ sort: 'status', order: 'asc', per_page: 100 })).rows.map(({ status }) => status);
    assert.deepEqual(byStatus, STATUSES.flatMap((status) => Array(5).fill(status)));
    assert.equal((await list({ sort: 'updated_at', per_page: 100 })).ids.length, 25);
  });

  test('a client sees the own licenses only, and no notes', async () => {
    const { ids, meta, rows: seen } = await list({}, home2.as.client);
    assert.deepEqual(ids.sort(), idsOf(({ owner_id: owner }) => owner));
    assert.equal(meta.total, 4);
    assert.ok(seen.every(({ notes }) => notes === null));
    assert.equal((await list({ search: 'secret of the vendor' }, home2.as.client)).meta.total, 0);
    assert.equal((await list({ search: 'secret of the vendor' })).meta.total, 1);
    assert.equal((await list({ owner_id: home2.users.viewer }, home2.as.client)).meta.total, 0);
    assert.equal(good(await read(rows[2].id, home2.as.client)).notes, null);
    assert.equal(good(await read(rows[2].id, home2.as.viewer)).notes, 'secret of the vendor');
    refused(await read(rows[10].id, home2.as.client), 404, 'LICENSE_NOT_FOUND');
  });

  test('nobody sees another tenant', async () => {
    assert.equal((await list({}, other.as.admin)).ids.some((id) => rows.some((row) => row.id === id)), false);
    assert.equal((await list({ search: rows[0].license_key }, other.as.admin)).meta.total, 0);
    assert.equal((await list({ search: rows[0].license_key }, home2.as.super_admin)).meta.total, 1);
    assert.ok(await rowOf(stack, 'licenses', rows[0].id));
  });
});
