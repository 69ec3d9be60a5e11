// Organizations: founded, changed, closed; their members; and what they have of their plan.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, eventually, good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, auditOf, createOrganization, createUser, insert, insertLicense, rowOf, topicsAbout, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
const all = '/api/organizations';
const one = '/api/organizations/{id}';
const members = '/api/organizations/{id}/members';
const member = '/api/organizations/{id}/members/{inner_id}';
let home;
let other;
let root;

before(async () => {
  home = await createOrganization(stack);
  other = await createOrganization(stack);
  root = home.as.super_admin;
});

const unique = (text) => `${text} ${randomBytes(5).toString('hex')}`;
const found = (body, more = {}) => root('POST', all, { body: { name: unique('Test'), ...body }, ...more });
const change = (body, by = home.as.admin, id = home.id) => by('PATCH', one, { id, body });

describe('founding', () => {
  test('with nothing but a name', async () => {
    const name = unique('¡Ñandú & Compañía, S.A.!');
    const made = good(await found({ name }), 201);
    assert.deepEqual([made.name, made.slug], [name, `nandu-compania-s-a-${name.split(' ').at(-1)}`]);
    assert.deepEqual([made.max_users, made.max_api_calls_per_month, made.settings, made.metadata, made.email], [5, 10_000, {}, {}, null]);
    assert.deepEqual(good(await root('GET', one, { id: made.id })), made);
    const [row] = await auditOf(stack, made.id);
    assert.deepEqual([row.event, row.action, row.organization_id, row.user_id], ['organization.created', 'create', made.id, home.users.super_admin]);
    assert.deepEqual(await topicsAbout(stack, 'organization', made.id), ['organization.created']);
  });

  test('with everything', async () => {
    const body = {
      name: unique('Everything'), slug: `e-${randomBytes(6).toString('hex')}`, email: 'hello@acme.test', phone: '+34 600 000 000',
      website: 'http://acme.test', address_line1: 'Calle Mayor 1', address_line2: '2.º B', city: 'Málaga', state: 'Andalucía',
      postal_code: '29001', country_code: 'ES', tax_id: 'ESB12345678', metadata: { crm: 7 }, max_users: -1, max_api_calls_per_month: 5_000_000_000,
      settings: {
        timezone: 'Europe/Madrid', locale: 'es-ES', feature_flags: ['new_dashboard'],
        branding: { primary_color: '#3B82F6', secondary_color: '#000000', logo_url: 'https://cdn.acme.test/l.svg', favicon_url: 'https://cdn.acme.test/f.ico' },
        analytics: { manual_minutes_per_task: 30, hourly_rate_usd: 0, infrastructure_cost_usd_per_month: 10_000_000 },
      },
    };
    const made = good(await found(body), 201);
    for (const [name, value] of Object.entries(body)) assert.deepEqual(made[name], value, name);
  });

  test('a slug that is taken, given or made', async () => {
    const { name, slug } = good(await found({}), 201);
    refused(await found({ slug }), 409, 'SLUG_TAKEN');
    refused(await found({ name }), 409, 'SLUG_TAKEN');
    refusedFields(await found({ name: '漢字' }), 'slug');
    const answers = await Promise.all(Array.from({ length: 5 }, () => found({ name: unique('Race'), slug: `race-${slug}` })));
    assert.equal(answers.filter((answer) => answer.status === 201).length, 1);
  });

  test('the same request twice founds one', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const body = { name: unique('Once') };
    const [first, second] = await Promise.all([found(body, { headers }), found(body, { headers })]);
    assert.deepEqual(good(first, 201), good(second, 201));
  });

  test('without a name', async () => {
    refusedFields(await root('POST', all, { body: {} }), 'name');
    refusedFields(await root('POST', all, { body: { name: null } }), 'name');
    refusedFields(await root('POST', all, { body: { name: ' ' } }), 'name');
  });
});

describe('the list', () => {
  test('is the own one, and every one for a super administrator', async () => {
    const listed = async (by, query) => {
      const answer = await by('GET', all, { query });
      return [good(answer).map(({ id }) => id), answer.body.meta.total];
    };
    for (const role of ['admin', 'client', 'viewer']) assert.deepEqual(await listed(home.as[role]), [[home.id], 1]);
    assert.deepEqual(await listed(home.as.admin, { search: other.slug }), [[], 0]);
    assert.deepEqual(await listed(root, { search: other.slug }), [[other.id], 1]);
    assert.deepEqual(await listed(root, { search: 't_%' }), [[], 0]);
    const [page, total] = await listed(root, { per_page: 2, sort: 'slug', order: 'asc' });
    assert.ok(page.length === 2 && total > 4);
    refused(await root('GET', all, { query: { sort: 'tax_id' } }), 400, 'INVALID_QUERY');
  });
});

describe('a change', () => {
  test('of everything its administrators may set', async () => {
    const body = { name: unique('Changed'), city: 'Oaxaca', website: 'https://acme.test', settings: { locale: 'en', branding: { primary_color: '#ffffff' } }, metadata: { a: [1] } };
    const changed = good(await change(body));
    for (const [name, value] of Object.entries(body)) assert.deepEqual(changed[name], value, name);
    const row = (await auditOf(stack, home.id)).at(-1);
    assert.equal(row.event, 'organization.updated');
    assert.deepEqual(Object.keys(row.changes.after).sort(), Object.keys(body).sort());
    assert.equal(row.changes.before.city, null);
    assert.ok((await topicsAbout(stack, 'organization', home.id)).includes('organization.updated'));
    // Settings are set as a whole; what is cleared is empty.
    assert.deepEqual(good(await change({ settings: { locale: 'es' } })).settings, { locale: 'es' });
    const cleared = good(await change({ city: null, settings: null, metadata: null }));
    assert.deepEqual([cleared.city, cleared.settings, cleared.metadata], [null, {}, {}]);
  });

  test('of nothing is no event', async () => {
    const before = (await auditOf(stack, home.id)).length;
    good(await change({}));
    good(await change({ city: null }));
    assert.equal((await auditOf(stack, home.id)).length, before);
  });

  test('of what it pays for is not for its own administrators', async () => {
    for (const body of [{ max_users: 1000 }, { max_api_calls_per_month: -1 }, { city: 'X', max_users: null }]) {
      refused(await change(body), 403, 'FORBIDDEN');
    }
    assert.notEqual((await rowOf(stack, 'organizations', home.id)).city, 'X');
    const changed = good(await change({ max_users: 1000, max_api_calls_per_month: -1 }, root));
    assert.deepEqual([changed.max_users, changed.max_api_calls_per_month], [1000, -1]);
    refusedFields(await change({ max_users: -2 }, root), 'max_users');
    refusedFields(await change({ max_users: null }, root), 'max_users');
    for (const calls of [-2, 1e12 + 1]) {
      const { fields } = refused(await change({ max_api_calls_per_month: calls }, root), 422, 'VALIDATION_FAILED');
      assert.deepEqual(fields, { max_api_calls_per_month: ['debe ser de -1 a 1000000000000'] });
    }
  });

  test('out of bounds', async () => {
    for (const [body, ...fields] of [
      [{ name: null }, 'name'], [{ name: '' }, 'name'], [{ name: 'x'.repeat(256) }, 'name'], [{ slug: null }, 'slug'],
      [{ slug: 'Not a slug' }, 'slug'], [{ slug: 'a--b' }, 'slug'], [{ slug: 'x'.repeat(101) }, 'slug'],
      [{ email: 'x' }, 'email'], [{ phone: 'x' }, 'phone'], [{ website: 'javascript:alert(1)' }, 'website'],
      [{ country_code: 'es' }, 'country_code'], [{ country_code: 'ESP' }, 'country_code'], [{ tax_id: 'x'.repeat(51) }, 'tax_id'],
      [{ postal_code: 'x'.repeat(21), city: '\n' }, 'postal_code', 'city'], [{ metadata: { x: 'x'.repeat(16_400) } }, 'metadata'],
      [{ settings: { timezone: 'Mars' } }, 'settings.timezone'], [{ settings: { locale: 'ES' } }, 'settings.locale'],
      [{ settings: { branding: { primary_color: 'blue' } } }, 'settings.branding.primary_color'],
      [{ settings: { branding: { logo_url: 'http://x.test/l.png' } } }, 'settings.branding.logo_url'],
      [{ settings: { analytics: { hourly_rate_usd: 10_001 } } }, 'settings.analytics.hourly_rate_usd'],
      [{ settings: { feature_flags: [''] } }, 'settings.feature_flags'], [{ settings: { feature_flags: Array(101).fill('x') } }, 'settings.feature_flags'],
    ]) {
      refusedFields(await change(body), ...fields);
    }
    for (const settings of [{ theme: 'dark' }, { branding: { font: 'x' } }, { branding: [] }, { analytics: { roi: 1 } }, { analytics: { hourly_rate_usd: -1 } }, [], 'x', { feature_flags: 'x' }, { timezone: 1 }]) {
      refused(await change({ settings }), 400, 'INVALID_BODY');
    }
    refused(await change({ slug: other.slug }), 409, 'SLUG_TAKEN');
  });
});

describe('closing', () => {
  test('locks its people out at once, ends its licenses, and keeps the rows', async () => {
    const place = await createOrganization(stack, { roles: ['admin', 'client'] });
    const key = await withApiKey(stack, place.users.admin, place.id);
    const license = await insertLicense(stack, place.id);
    good(await place.as.client('GET', '/api/licenses'));
    const isValid = async () => good(await caller(stack)('POST', '/api/licenses/validate', { body: { license_key: license.license_key } })).valid;
    assert.equal(await isValid(), true);
    good(await root('DELETE', one, { id: place.id }), 204);
    for (const by of [place.as.admin, place.as.client]) refused(await by('GET', '/api/licenses'), 401, 'PROFILE_NOT_FOUND');
    refused(await key('GET', '/api/licenses'), 401, 'INVALID_API_KEY');
    refused(await root('GET', one, { id: place.id }), 404, 'ORGANIZATION_NOT_FOUND');
    refused(await root('DELETE', one, { id: place.id }), 404, 'ORGANIZATION_NOT_FOUND');
    refused(await root('POST', members, { id: place.id, body: { email: `${randomUUID()}@x.test` } }), 404, 'ORGANIZATION_NOT_FOUND');
    assert.ok((await rowOf(stack, 'organizations', place.id)).deleted_at);
    assert.deepEqual((await auditOf(stack, place.id)).map(({ event }) => event), ['organization.deleted']);
    assert.deepEqual(await topicsAbout(stack, 'organization', place.id), ['organization.deleted']);
    // Before the answer, not some time after.
    assert.equal(await isValid(), false);
  });

  test('makes no more events, and no webhook of it is told', async () => {
    const place = await createOrganization(stack, { roles: ['admin'] });
    const due = await insertLicense(stack, place.id, { expires_at: new Date(Date.now() - 1000) });
    await stack.pg.query('UPDATE organizations SET deleted_at = now() WHERE id = $1', [place.id]);
    await stack.triggerCron('*/5 * * * *');
    await eventually(async () => (await rowOf(stack, 'licenses', due.id)).status === 'expired');
    const { rows } = await stack.pg.query('SELECT topic FROM outbox_messages WHERE organization_id = $1', [place.id]);
    assert.deepEqual(rows, []);
  });

  test('of the own one is refused, and to everybody else too', async () => {
    refused(await root('DELETE', one, { id: home.id }), 409, 'OWN_ACCOUNT');
    refused(await home.as.admin('DELETE', one, { id: home.id }), 403, 'FORBIDDEN');
  });
});

describe('members', () => {
  test('are the people of the organization', async () => {
    const rows = good(await home.as.manager('GET', members, { id: home.id, query: { role: 'client' } }));
    assert.deepEqual(rows.map(({ id }) => id), [home.users.client]);
    const theirs = await root('GET', members, { id: other.id, query: { per_page: 100 } });
    assert.deepEqual(good(theirs).map(({ id }) => id).sort(), Object.values(other.users).sort());
    refused(await root('GET', members, { id: randomUUID() }), 404, 'ORGANIZATION_NOT_FOUND');
  });

  test('are invited, changed and removed as people are', async () => {
    const email = `${randomUUID()}@example.test`;
    const invited = good(await home.as.admin('POST', members, { id: home.id, body: { email, role: 'operator' } }), 201);
    assert.deepEqual([invited.organization_id, invited.status, invited.role], [home.id, 'invited', 'operator']);
    refused(await home.as.admin('POST', '/api/users', { body: { email } }), 409, 'EMAIL_TAKEN');
    const at = { id: home.id, inner_id: invited.id };
    const changed = good(await home.as.admin('PATCH', member, { ...at, body: { role: 'viewer', scopes: ['users:read'] } }));
    assert.deepEqual([changed.role, changed.scopes], ['viewer', ['users:read']]);
    refused(await home.as.admin('PATCH', member, { ...at, body: { first_name: 'X' } }), 400, 'INVALID_BODY');
    refused(await home.as.manager('PATCH', member, { ...at, body: { role: 'admin' } }), 403, 'PERMISSION_NOT_HELD');
    refused(await root('DELETE', member, { id: other.id, inner_id: invited.id }), 404, 'USER_NOT_FOUND');
    refused(await root('PATCH', member, { id: other.id, inner_id: invited.id, body: { role: 'viewer' } }), 404, 'USER_NOT_FOUND');
    good(await home.as.admin('DELETE', member, at), 204);
    refused(await home.as.admin('GET', '/api/users/{id}', { id: invited.id }), 404, 'USER_NOT_FOUND');
    assert.deepEqual((await auditOf(stack, invited.id)).map(({ event }) => event), ['user.invited', 'user.updated', 'user.removed']);
  });

  test('are invited into the organization of the path', async () => {
    const body = { email: `${randomUUID()}@example.test`, organization_id: other.id };
    refusedFields(await root('POST', members, { id: home.id, body }), 'organization_id');
    assert.equal(good(await root('POST', members, { id: other.id, body }), 201).organization_id, other.id);
  });
});

describe('the subscription', () => {
  const read = async (place, by = place.as.admin) => good(await by('GET', '/api/organizations/{id}/subscription', { id: place.id }));
  const day = (n) => new Date(Date.now() + n * 86_400_000);

  test('is the free plan without a license of its own', async () => {
    const place = await createOrganization(stack, { roles: ['admin', 'client'] });
    await insertLicense(stack, place.id, { product_id: place.product.id });
    await insertLicense(stack, place.id, { status: 'suspended' });
    await insertLicense(stack, place.id, { expires_at: day(-0.5) });
    await insertLicense(stack, place.id, { status: 'trial', trial_ends_at: day(-0.5) });
    await insertLicense(stack, place.id, { status: 'cancelled' });
    const { plan, license, limits, usage } = await read(place);
    assert.deepEqual([plan.code, plan.price_monthly, license], ['free', 0, null]);
    assert.deepEqual([limits.max_users, limits.max_api_calls_per_month, limits.max_ai_requests_per_month], [1000, 10_000, 100]);
    assert.deepEqual(usage, { users: 2, ai_requests: 0, storage_bytes: 0, licenses: 4, webhooks: 0, api_keys: 0, api_calls: 0 });
  });

  test('is that of the newest license that lives', async () => {
    const place = await createOrganization(stack, { roles: ['super_admin', 'admin', 'client'] });
    await insertLicense(stack, place.id, { plan_id: PLANS.starter, created_at: day(-2) });
    const newest = await insertLicense(stack, place.id, {
      plan_id: PLANS.professional, created_at: day(-1), ai_requests_used: 42, storage_used_bytes: 1024,
      custom_limits: JSON.stringify({ max_ai_requests_per_month: 77, max_users: 3 }),
    });
    await withApiKey(stack, place.users.admin, place.id);
    await withApiKey(stack, place.users.admin, place.id, { expires_at: day(-1) });
    await createUser(stack, place.id, 'viewer', { invited_at: new Date() });
    await createUser(stack, place.id, 'viewer', { deleted_at: new Date() });
    await insert(stack, 'organization_usage', { organization_id: place.id, period: `${new Date().toISOString().slice(0, 7)}-01`, api_calls: 9 });
    await insert(stack, 'organization_usage', { organization_id: place.id, period: '2020-01-01', api_calls: 1000 });
    const { plan, license, limits, usage } = await read(place);
    assert.deepEqual([plan.code, license.id, license.status], ['professional', newest.id, 'active']);
    // The organization's own limit of people is the one that is kept.
    assert.deepEqual([limits.max_ai_requests_per_month, limits.max_storage_gb, limits.max_users], [77, 100, 1000]);
    assert.deepEqual(usage, { users: 4, ai_requests: 42, storage_bytes: 1024, licenses: 2, webhooks: 0, api_keys: 1, api_calls: 9 });
    assert.deepEqual(await read(place, place.as.super_admin), await read(place));
    const clients = await read(place, place.as.client);
    assert.deepEqual([clients.plan, clients.license, clients.limits, clients.usage.users, clients.usage.licenses], [null, null, {}, 1, 0]);
  });
});
