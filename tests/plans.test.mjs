// Plans: made, changed and taken off the list by a super administrator, seen by everybody who is somebody.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { auditOf, createOrganization, insertLicense, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
const all = '/api/plans';
const one = '/api/plans/{id}';
let home;
let root;

before(async () => {
  home = await createOrganization(stack);
  root = home.as.super_admin;
});

const make = (body, more = {}) => root('POST', all, { body: { code: `p-${randomUUID()}`, name: 'Plan', ...body }, ...more });
const change = (id, body) => root('PATCH', one, { id, body });

describe('a plan', () => {
  test('is made with everything, and with nothing but its names', async () => {
    const body = {
      code: `p-${randomUUID()}`, name: 'Größe L', description: 'For many', price_monthly: 19.99, price_yearly: 199, currency: 'EUR',
      limits: { max_users: -1, max_storage_gb: 5, max_api_key_rate_per_min: 600, address_source: 'connection' },
      features: ['webhooks', 'api_keys'], is_public: false, sort_order: 7,
    };
    const plan = good(await make(body), 201);
    for (const [name, value] of Object.entries(body)) assert.deepEqual(plan[name], value, name);
    assert.equal(plan.is_active, true);
    assert.deepEqual((await auditOf(stack, plan.id)).map(({ event, action }) => [event, action]), [['plan.created', 'create']]);
    assert.equal(good(await change(plan.id, { price_yearly: 9_999_999_999.99 })).price_yearly, 9_999_999_999.99);
    refused(await change(plan.id, { price_yearly: 10_000_000_000 }), 400, 'INVALID_BODY');
    const bare = good(await make({}), 201);
    assert.deepEqual([bare.price_monthly, bare.currency, bare.limits, bare.features, bare.is_public], [null, 'USD', {}, [], true]);
    assert.deepEqual(good(await root('GET', one, { id: bare.id })), bare);
  });

  test('out of bounds', async () => {
    for (const limits of [{ max_user: 1 }, { max_users: 'many' }, { address_source: 'guessed' }, [], 5]) {
      refused(await make({ limits }), 400, 'INVALID_BODY');
    }
    for (const price of [-1, 0.001, 1e10, 1e308, '5']) refused(await make({ price_monthly: price }), 400, 'INVALID_BODY');
    refusedFields(await make({ limits: { max_users: -2 } }), 'limits.max_users');
    refusedFields(await make({ code: 'Not A Code' }), 'code');
    refusedFields(await make({ code: 'x'.repeat(51) }), 'code');
    refusedFields(await make({ name: '', currency: 'usd', features: ['x'.repeat(101)] }), 'name', 'currency', 'features');
    refusedFields(await make({ currency: 'XYZ' }), 'currency');
    refusedFields(await make({ currency: 'JPY', price_monthly: 9.5, price_yearly: 99 }), 'price_monthly');
    const { code, id } = good(await make({}), 201);
    refusedFields(await change(id, { currency: 'JPY', price_yearly: 0.5 }), 'price_yearly');
    refusedFields(await change(id, { currency: 'ZZZ' }), 'currency');
    refused(await make({ code }), 409, 'PLAN_CODE_TAKEN');
    refused(await change(id, { code: 'other' }), 400, 'INVALID_BODY');
    refusedFields(await change(id, { name: null, limits: null }), 'name', 'limits');
  });

  test('is changed, with before and after in the audit row', async () => {
    const { id } = good(await make({ price_monthly: 10, features: ['a'] }), 201);
    const changed = good(await change(id, { price_monthly: null, price_yearly: 0.1, features: null, name: 'Other' }));
    assert.deepEqual([changed.price_monthly, changed.price_yearly, changed.features, changed.name], [null, 0.1, [], 'Other']);
    const row = (await auditOf(stack, id)).at(-1);
    assert.deepEqual([row.event, row.organization_id], ['plan.updated', null]);
    assert.deepEqual(row.changes.before, { price_monthly: 10, price_yearly: null, features: ['a'], name: 'Plan' });
    good(await change(id, {}));
    assert.equal((await auditOf(stack, id)).length, 2);
  });

  test('is felt by its licenses at once', async () => {
    const { id } = good(await make({ name: 'Before' }), 201);
    const licenses = await Promise.all(Array.from({ length: 3 }, () => insertLicense(stack, home.id, { plan_id: id })));
    const planOf = async (license) => {
      const verdict = good(await caller(stack)('POST', '/api/licenses/validate', { body: { license_key: license.license_key } }));
      return verdict.license.plan;
    };
    const names = async () => (await Promise.all(licenses.map(planOf))).map((plan) => plan.name ?? plan);
    const was = await names();
    good(await change(id, { name: 'After' }));
    const is = await names();
    assert.notDeepEqual(is, was);
    assert.ok(JSON.stringify(is).includes('After'));
  });

  test('taken off the list stays with its licenses, and comes back', async () => {
    const { id } = good(await make({}), 201);
    good(await root('DELETE', one, { id }), 204);
    refused(await home.as.viewer('GET', one, { id }), 404, 'PLAN_NOT_FOUND');
    assert.equal(good(await root('GET', one, { id })).is_active, false);
    const row = (await auditOf(stack, id)).at(-1);
    assert.deepEqual([row.event, row.action], ['plan.withdrawn', 'delete']);
    good(await root('DELETE', one, { id }), 204);
    assert.equal(good(await change(id, { is_active: true })).is_active, true);
    good(await home.as.viewer('GET', one, { id }));
  });
});

describe('the list', () => {
  test('shows everybody what is offered, in its order, and a super administrator everything', async () => {
    const mark = randomUUID();
    const offered = [good(await make({ name: `${mark} b`, sort_order: 2 }), 201), good(await make({ name: `${mark} a`, sort_order: 1 }), 201)];
    const hidden = good(await make({ name: `${mark} c`, sort_order: 3, is_public: false }), 201);
    const query = { search: mark };
    const ids = async (by, more) => good(await by('GET', all, { query: { ...query, ...more } })).map(({ id }) => id);
    assert.deepEqual(await ids(home.as.client), [offered[1].id, offered[0].id]);
    assert.deepEqual(await ids(root), [offered[1].id, offered[0].id, hidden.id]);
    assert.deepEqual(await ids(root, { order: 'desc', per_page: 1 }), [hidden.id]);
    assert.deepEqual(await ids(root, { is_active: false }), []);
    refused(await home.as.admin('GET', one, { id: hidden.id }), 404, 'PLAN_NOT_FOUND');
    const key = await withApiKey(stack, home.users.admin, home.id, { scopes: ['licenses:*'] });
    refused(await key('GET', all), 403, 'FORBIDDEN');
  });
});
