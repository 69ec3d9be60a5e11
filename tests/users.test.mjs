// People: listed, invited, changed, removed; and what they say of themselves.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { about } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { token } from './support/tokens.mjs';
import { invitationTo } from './support/invitations.mjs';
import { auditOf, createOrganization, createUser, insert, placesOf, rowOf, signedIn, topicsAbout, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
let home;
let other;

before(async () => {
  home = await createOrganization(stack);
  other = await createOrganization(stack);
});

const address = (name = 'somebody') => `${name}-${randomUUID()}@Example.test`;
const invite = (body, by = home.as.admin, more = {}) => by('POST', '/api/users', { body: { email: address(), ...body }, ...more });
const read = (id, by = home.as.admin) => by('GET', '/api/users/{id}', { id });
const change = (id, body, by = home.as.admin) => by('PATCH', '/api/users/{id}', { id, body });
const resend = '/api/users/{id}/resend-invitation';
const remove = (id, by = home.as.admin) => by('DELETE', '/api/users/{id}', { id });

describe('invitation', () => {
  test('with nothing but an address', async () => {
    const email = address();
    const user = good(await invite({ email }), 201);
    assert.equal(user.email, email.toLowerCase());
    assert.deepEqual([user.role, user.scopes, user.status, user.organization_id], ['viewer', [], 'invited', home.id]);
    assert.deepEqual([user.locale, user.timezone, user.login_count], ['es', 'UTC', 0]);
    assert.deepEqual([user.invited_by, user.activated_at, user.last_login_at], [home.users.admin, null, null]);
    about(user.invited_at, Date.now());
    about(user.invitation_expires_at, Date.now() + 7 * 86_400_000);
    assert.deepEqual(good(await read(user.id)), user);
  });

  test('with everything', async () => {
    const body = {
      email: address(), organization_id: home.id, first_name: 'Ñandú', last_name: "O'Hara 漢字", role: 'developer',
      scopes: ['users:read', 'licenses:*'], locale: 'en-GB', timezone: 'Europe/London',
    };
    const user = good(await invite(body), 201);
    for (const [name, value] of Object.entries({ ...body, email: body.email.toLowerCase() })) assert.deepEqual(user[name], value, name);
  });

  test('takes language and time zone from the organization', async () => {
    await stack.pg.query(`UPDATE organizations SET settings = '{"timezone": "America/Mexico_City", "locale": "es-MX"}' WHERE id = $1`, [other.id]);
    const user = good(await invite({}, other.as.admin), 201);
    assert.deepEqual([user.locale, user.timezone], ['es-MX', 'America/Mexico_City']);
  });

  test('leaves an audit row, an event and an e-mail', async () => {
    const email = address().toLowerCase();
    const user = good(await invite({ email, locale: 'en' }), 201);
    const [row, ...more] = await auditOf(stack, user.id);
    assert.deepEqual(more, []);
    assert.deepEqual([row.event, row.action, row.resource_type, row.user_id, row.organization_id],
      ['user.invited', 'create', 'user', home.users.admin, home.id]);
    assert.equal(row.changes.after.email, email);
    assert.deepEqual(await topicsAbout(stack, 'user', user.id), ['user.invited']);
    const { rows: mails } = await stack.pg.query(
      `SELECT payload FROM outbox_messages WHERE topic = 'email.send' AND payload->>'to' = $1`, [email]);
    assert.equal(mails.length, 1);
    const { template, locale, data, organization_id: organization } = mails[0].payload;
    assert.deepEqual([template, locale, organization], ['invitation', 'en', home.id]);
    assert.equal(data.organization, home.slug);
    assert.ok(data.inviter.length > 0);
    const { url, token: secret } = await invitationTo(stack, email);
    assert.equal(url.searchParams.get('email'), email);
    assert.ok(url.href.startsWith(stack.vars.DASHBOARD_URL));
    // What lets its holder in is in no row.
    assert.ok(secret.length >= 43);
    assert.deepEqual(await placesOf(stack, secret), []);
    assert.notEqual((await rowOf(stack, 'users_profile', user.id)).invitation_hash, secret);
  });

  test('names the API key that did it', async () => {
    const key = await withApiKey(stack, home.users.admin, home.id, {
      scopes: [
        'users:*', 'account:*', 'analytics:own', 'licenses:*', 'organizations:read', 'flags:*', 'plans:read', 'telemetry:*', 'ai:*', 'reviews:*', 'assets:*',
        'products:*', 'orders:*', 'invoices:*', 'coupons:*', 'tax_rates:*',
      ],
    });
    const user = good(await invite({}, key), 201);
    const [row] = await auditOf(stack, user.id);
    assert.deepEqual([row.actor_kind, row.api_key_id, row.user_id], ['api_key', key.id, home.users.admin]);
  });

  test('the same request twice invites once', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const body = { email: address() };
    const [first, second] = await Promise.all([invite(body, home.as.admin, { headers }), invite(body, home.as.admin, { headers })]);
    assert.deepEqual(good(first, 201), good(second, 201));
    refused(await invite(body), 409, 'EMAIL_TAKEN');
  });

  test('reserves nothing: an address is taken in its own organization only, however it is typed', async () => {
    const email = `jos\u00e9-${randomUUID()}@b\u00fccher.example`;
    const user = good(await invite({ email }), 201);
    assert.ok(user.email.endsWith('@xn--bcher-kva.example'));
    for (const same of [email.toUpperCase(), email.normalize('NFD'), user.email]) {
      refused(await invite({ email: same }), 409, 'EMAIL_TAKEN');
    }
    assert.equal(good(await invite({ email }, other.as.admin), 201).email, user.email);
    const active = await createUser(stack, other.id, 'viewer');
    const { email: theirs } = await rowOf(stack, 'users_profile', active);
    refused(await invite({ email: theirs }, other.as.admin), 409, 'EMAIL_TAKEN');
    good(await invite({ email: theirs }), 201);
  });

  test('is sent again with another token, to those who did not come', async () => {
    const email = address().toLowerCase();
    const user = good(await invite({ email }), 201);
    const first = await invitationTo(stack, email);
    await stack.pg.query(`UPDATE users_profile SET invitation_expires_at = now() WHERE id = $1`, [user.id]);
    const again = good(await home.as.manager('POST', resend, { id: user.id }));
    about(again.invitation_expires_at, Date.now() + 7 * 86_400_000);
    const second = await invitationTo(stack, email);
    assert.notEqual(second.token, first.token);
    assert.deepEqual((await auditOf(stack, user.id)).map(({ event, action }) => [event, action]),
      [['user.invited', 'create'], ['user.invited', 'update']]);
    refused(await home.as.admin('POST', resend, { id: home.users.viewer }), 409, 'ALREADY_ACTIVE');
    refused(await other.as.admin('POST', resend, { id: user.id }), 404, 'USER_NOT_FOUND');
    const boss = good(await invite({ role: 'admin' }), 201);
    refused(await home.as.manager('POST', resend, { id: boss.id }), 403, 'PERMISSION_NOT_HELD');
  });

  test('the same request a day later is another one', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const [first, second] = [{ email: address() }, { email: address() }];
    const made = good(await invite(first, home.as.admin, { headers }), 201);
    refused(await invite(second, home.as.admin, { headers }), 409, 'IDEMPOTENCY_CONFLICT');
    await stack.pg.query(`UPDATE idempotency_keys SET expires_at = now() WHERE key = $1`, [headers['idempotency-key']]);
    const later = good(await invite(second, home.as.admin, { headers }), 201);
    assert.notEqual(later.id, made.id);
    assert.deepEqual(good(await invite(second, home.as.admin, { headers }), 201), later);
  });

  test('values out of bounds', async () => {
    for (const email of ['a@1.2.3.4', 'a@x.123', 'a\u200bb@acme.test', '\u202ea@acme.test', '\u0130van@acme.test', 'ivan.\u212a@acme.test', 'a@b_c.test']) {
      refusedFields(await invite({ email }), 'email');
    }
    for (const email of ['', 'x', 'x@y', 'a b@c.co', 'a@b.co\nBcc: x@y.co', `${'a'.repeat(65)}@acme.test`]) {
      refusedFields(await invite({ email }), 'email');
    }
    refusedFields(await invite({ first_name: '', last_name: 'x'.repeat(101) }), 'first_name', 'last_name');
    refusedFields(await invite({ scopes: ['nothing:read'] }), 'scopes');
    refusedFields(await invite({ scopes: Array(51).fill('users:read') }), 'scopes');
    refusedFields(await invite({ locale: 'spanish' }), 'locale');
    refusedFields(await invite({ timezone: 'Mars/Olympus' }), 'timezone');
    refusedFields(await invite({ timezone: 'UTC+5' }), 'timezone');
    refusedFields(await invite({ organization_id: other.id }), 'organization_id');
    refusedFields(await invite({ organization_id: randomUUID() }, home.as.super_admin), 'organization_id');
    refused(await invite({ role: 'root' }), 400, 'INVALID_BODY');
    refused(await home.as.admin('POST', '/api/users', { body: {} }), 400, 'INVALID_BODY');
  });

  test('a super administrator invites anywhere', async () => {
    const user = good(await invite({ organization_id: other.id, role: 'admin' }, home.as.super_admin), 201);
    assert.deepEqual([user.organization_id, user.role], [other.id, 'admin']);
    assert.equal((await rowOf(stack, 'users_profile', user.id)).organization_id, other.id);
  });
});

describe('the list', () => {
  let place;
  let ids;
  const list = async (query, by = place.as.admin) => {
    const answer = await by('GET', '/api/users', { query });
    return { rows: good(answer), meta: answer.body.meta };
  };

  before(async () => {
    place = await createOrganization(stack, { roles: ['super_admin', 'admin'] });
    const day = (n) => new Date(Date.UTC(2030, 0, n));
    ids = [
      await createUser(stack, place.id, 'viewer', { email: `zeta-${place.id}@example.test`, first_name: 'Ana', last_name: '100%', created_at: day(1) }),
      await createUser(stack, place.id, 'developer', { email: `Alpha-${place.id}@example.test`, display_name: 'Under_score', created_at: day(2) }),
      await createUser(stack, place.id, 'developer', { invited_at: day(3), created_at: day(3) }),
      await createUser(stack, place.id, 'viewer', { invited_at: day(4), activated_at: day(5), created_at: day(4) }),
      await createUser(stack, place.id, 'viewer', { deleted_at: day(5), created_at: day(5) }),
    ];
  });

  test('shows the living of the own organization, the latest first', async () => {
    const { rows, meta } = await list({});
    assert.equal(meta.total, 6);
    assert.deepEqual(rows.slice(0, 4).map((user) => user.id), [ids[3], ids[2], ids[1], ids[0]]);
    assert.deepEqual(rows.slice(0, 4).map((user) => user.status), ['active', 'invited', 'active', 'active']);
    assert.ok(rows.every((user) => user.organization_id === place.id));
  });

  test('filters', async () => {
    const found = async (query) => (await list({ order: 'asc', ...query })).rows.map((user) => user.id);
    assert.deepEqual(await found({ role: 'developer' }), [ids[1], ids[2]]);
    assert.deepEqual(await found({ status: 'invited' }), [ids[2]]);
    assert.equal((await found({ status: 'active' })).length, 5);
    assert.deepEqual(await found({ search: 'ana 100' }), [ids[0]]);
    assert.deepEqual(await found({ search: '100%' }), [ids[0]]);
    assert.deepEqual(await found({ search: 'r_s' }), [ids[1]]);
    assert.deepEqual(await found({ search: 'ALPHA' }), [ids[1]]);
    assert.deepEqual(await found({ search: '\\' }), []);
    assert.equal((await found({ search: '' })).length, 6);
  });

  test('sorts and pages', async () => {
    const { rows } = await list({ sort: 'email', order: 'asc' });
    const emails = rows.map((user) => user.email.toLowerCase());
    assert.deepEqual(emails, emails.toSorted());
    const pages = await Promise.all([1, 2, 3, 4].map((page) => list({ sort: 'role', per_page: 2, page })));
    assert.deepEqual(pages.map((page) => page.rows.length), [2, 2, 2, 0]);
    assert.deepEqual(pages[1].meta, { page: 2, per_page: 2, total: 6, total_pages: 3 });
    assert.equal(new Set(pages.flatMap((page) => page.rows.map((user) => user.id))).size, 6);
  });

  test('refuses what it does not know', async () => {
    for (const query of [{ sort: 'password' }, { role: 'root' }, { status: 'gone' }, { order: 'up' }, { page: 'x' }]) {
      refused(await place.as.admin('GET', '/api/users', { query }), 400, 'INVALID_QUERY');
    }
    refusedFields(await place.as.admin('GET', '/api/users', { query: { page: 0, per_page: 101 } }), 'page', 'per_page');
  });

  test('a super administrator finds people of every organization', async () => {
    const { rows } = await list({ search: home.users.viewer }, place.as.super_admin);
    assert.deepEqual(rows.map((user) => user.id), [home.users.viewer]);
  });

  test('a client with the scope sees only themselves', async () => {
    const client = await createUser(stack, place.id, 'client', { scopes: JSON.stringify(['users:read', 'users:write']) });
    const by = await signedIn(stack, client);
    assert.deepEqual((await list({}, by)).rows.map((user) => user.id), [client]);
    refused(await read(ids[0], by), 404, 'USER_NOT_FOUND');
    refused(await change(ids[0], { role: 'operator' }, by), 404, 'USER_NOT_FOUND');
    refused(await remove(ids[0], by), 404, 'USER_NOT_FOUND');
    refused(await invite({}, by), 403, 'PERMISSION_NOT_HELD');
    await stack.pg.query('UPDATE users_profile SET deleted_at = now() WHERE id = $1', [client]);
  });
});

describe('a change', () => {
  test('of role, scopes and names, with before and after in the audit row', async () => {
    const id = await createUser(stack, home.id, 'viewer', { first_name: 'Old' });
    const changed = good(await change(id, { role: 'developer', scopes: ['users:read'], first_name: 'New', last_name: null, display_name: 'N' }));
    assert.deepEqual([changed.role, changed.scopes, changed.first_name, changed.display_name], ['developer', ['users:read'], 'New', 'N']);
    const [row] = await auditOf(stack, id);
    assert.equal(row.event, 'user.updated');
    assert.deepEqual(row.changes, {
      before: { role: 'viewer', scopes: [], first_name: 'Old', display_name: null },
      after: { role: 'developer', scopes: ['users:read'], first_name: 'New', display_name: 'N' },
    });
    assert.deepEqual(await topicsAbout(stack, 'user', id), ['user.updated']);
    assert.deepEqual(good(await change(id, { scopes: null })).scopes, []);
  });

  test('to a smaller role takes the scopes with it that were more than that', async () => {
    const id = await createUser(stack, home.id, 'admin', { scopes: JSON.stringify(['*', 'licenses:read']) });
    const by = await signedIn(stack, id);
    good(await by('GET', '/api/settings'));
    const changed = good(await change(id, { role: 'viewer' }));
    assert.deepEqual([changed.role, changed.scopes], ['viewer', ['licenses:read']]);
    refused(await by('GET', '/api/settings'), 403, 'FORBIDDEN');
    assert.deepEqual(good(await change(id, { role: 'operator', scopes: ['users:read'] })).scopes, ['users:read']);
    assert.deepEqual(good(await change(id, { role: 'manager' })).scopes, ['users:read']);
  });

  test('is in force with the next request', async () => {
    const id = await createUser(stack, home.id, 'viewer');
    const by = await signedIn(stack, id);
    refused(await read(home.users.admin, by), 403, 'FORBIDDEN');
    good(await change(id, { role: 'manager' }));
    good(await read(home.users.admin, by));
    good(await change(id, { role: 'viewer' }));
    refused(await read(home.users.admin, by), 403, 'FORBIDDEN');
  });

  test('of nothing is no event', async () => {
    const id = await createUser(stack, home.id, 'viewer');
    good(await change(id, {}));
    good(await change(id, { role: 'viewer', scopes: [] }));
    assert.deepEqual(await auditOf(stack, id), []);
  });

  test('out of bounds', async () => {
    const id = await createUser(stack, home.id, 'viewer');
    refusedFields(await change(id, { role: null }), 'role');
    refusedFields(await change(id, { scopes: ['x'] }), 'scopes');
    refusedFields(await change(id, { first_name: ' ', display_name: 'x'.repeat(201) }), 'first_name', 'display_name');
    refused(await change(id, { email: address() }), 400, 'INVALID_BODY');
    assert.deepEqual(await auditOf(stack, id), []);
  });
});

describe('removal', () => {
  test('ends sign-ins and API keys at once, and is in the audit log', async () => {
    const id = await createUser(stack, home.id, 'developer');
    const by = await signedIn(stack, id);
    const key = await withApiKey(stack, id, home.id);
    const sessions = [randomUUID(), randomUUID()];
    for (const session of sessions) {
      await insert(stack, 'user_sessions', { id: session, user_id: id, organization_id: home.id, session_token: session });
    }
    good(await by('GET', '/api/licenses'));
    good(await key('GET', '/api/licenses'));
    assert.equal((await remove(id)).status, 204);
    refused(await by('GET', '/api/licenses'), 401, 'PROFILE_NOT_FOUND');
    refused(await key('GET', '/api/licenses'), 401, 'INVALID_API_KEY');
    refused(await read(id), 404, 'USER_NOT_FOUND');
    refused(await remove(id), 404, 'USER_NOT_FOUND');
    for (const session of sessions) {
      const row = await rowOf(stack, 'user_sessions', session);
      assert.ok(!row.is_active && row.ended_at);
    }
    const kept = await rowOf(stack, 'user_api_keys', key.id);
    assert.ok(!kept.is_active && kept.revoked_at);
    const [row] = await auditOf(stack, id);
    assert.deepEqual([row.event, row.action], ['user.removed', 'delete']);
    assert.equal(row.changes.before.role, 'developer');
    assert.deepEqual(await topicsAbout(stack, 'user', id), ['user.removed']);
  });

  test('frees the address', async () => {
    const email = address();
    const first = good(await invite({ email }), 201);
    good(await remove(first.id), 204);
    const second = good(await invite({ email: email.toLowerCase() }, other.as.admin), 201);
    assert.notEqual(second.id, first.id);
  });

  test("of another organization's member is 404", async () => {
    refused(await remove(other.users.viewer), 404, 'USER_NOT_FOUND');
    good(await read(other.users.viewer, other.as.admin));
  });
});

describe('the profile', () => {
  const path = '/api/users/{id}/profile';
  let id;
  let own;

  before(async () => {
    id = await createUser(stack, home.id, 'viewer');
    own = caller(stack, { token: await token(stack.vars, id) });
  });

  test('is changed by oneself', async () => {
    const body = {
      first_name: 'Ada', last_name: 'Löwe', display_name: 'Ada 🙂', avatar_url: 'https://cdn.example.test/a.png?x=1',
      phone: '+52 (55) 1234-5678', timezone: 'America/Argentina/Buenos_Aires', locale: 'es-AR',
      preferences: { theme: 'dark', notifications: { email: true } }, onboarding_completed: true, onboarding_step: 4,
    };
    const profile = good(await own('PATCH', path, { id, body }));
    for (const [name, value] of Object.entries(body)) assert.deepEqual(profile[name], value, name);
    const read = good(await own('GET', path, { id }));
    // The sign-in is noted behind the first answer.
    for (const name of ['last_login_at', 'login_count', 'updated_at']) delete read[name], delete profile[name];
    assert.deepEqual(read, profile);
    const [row] = await auditOf(stack, id);
    assert.deepEqual([row.event, row.user_id], ['user.updated', id]);
    assert.deepEqual(row.changes.after.preferences, body.preferences);
    const cleared = good(await own('PATCH', path, { id, body: { phone: null, avatar_url: null, preferences: null } }));
    assert.deepEqual([cleared.phone, cleared.avatar_url, cleared.preferences, cleared.locale], [null, null, {}, 'es-AR']);
  });

  test('says nothing of role and scopes', async () => {
    for (const body of [{ role: 'admin' }, { scopes: ['*'] }, { email: 'x@y.co' }, { organization_id: other.id }]) {
      refused(await own('PATCH', path, { id, body }), 400, 'INVALID_BODY');
    }
  });

  test('out of bounds', async () => {
    const patch = (body) => own('PATCH', path, { id, body });
    for (const url of ['http://cdn.example.test/a.png', 'javascript:alert(1)', 'x', `https://x.test/${'x'.repeat(500)}`]) {
      refusedFields(await patch({ avatar_url: url }), 'avatar_url');
    }
    refusedFields(await patch({ phone: 'call me' }), 'phone');
    for (const timezone of ['nowhere', 'Factory', 'posixrules']) refusedFields(await patch({ timezone }), 'timezone');
    refusedFields(await patch({ timezone: null }), 'timezone');
    refusedFields(await patch({ locale: null }), 'locale');
    refusedFields(await patch({ preferences: { x: 'x'.repeat(16_400) } }), 'preferences');
    refusedFields(await patch({ onboarding_step: 1001 }), 'onboarding_step');
    for (const body of [{ preferences: [] }, { preferences: 'x' }, { onboarding_step: -1 }, { onboarding_completed: 'yes' }]) {
      refused(await patch(body), 400, 'INVALID_BODY');
    }
  });

  test('of somebody who may do more is not for everybody who may write people', async () => {
    refused(await home.as.manager('PATCH', path, { id: home.users.admin, body: { first_name: 'X' } }), 403, 'PERMISSION_NOT_HELD');
    good(await home.as.manager('PATCH', path, { id, body: { first_name: 'X' } }));
    good(await home.as.manager('GET', path, { id: home.users.admin }));
  });
});

test('somebody without an organization may do nothing', async () => {
  const loner = await createUser(stack, null, 'admin');
  const by = await signedIn(stack, loner);
  for (const [method, path, args] of [
    ['GET', '/api/users', {}], ['GET', '/api/users/{id}', { id: loner }], ['GET', '/api/auth/me', {}],
    ['POST', '/api/users', { body: { email: address() } }], ['POST', '/api/users/{id}/api-keys', { id: loner, body: { name: 'x', scopes: ['account:read'] } }],
  ]) {
    refused(await by(method, path, args), 403, 'FORBIDDEN');
  }
});
