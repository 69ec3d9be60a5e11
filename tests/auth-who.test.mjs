// What a credential is worth: verify and me, for every role, compared with the promised table.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { sameMoment } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { GRANTED, ROLES } from './support/roles.mjs';
import { token } from './support/tokens.mjs';
import { createOrganization, createUser, rowOf, signedIn, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
let home;

before(async () => {
  home = await createOrganization(stack);
});

const verify = async (call) => good(await call('POST', '/api/auth/verify', { body: {} }));
const me = async (call) => good(await call('GET', '/api/auth/me'));
const sorted = (list) => list.toSorted();

describe('verify', () => {
  for (const role of ROLES) {
    test(`says what a ${role} may do`, async () => {
      const session = randomUUID();
      const exp = Math.floor(Date.now() / 1000) + 1234;
      const said = await verify(caller(stack, { token: await token(stack.vars, home.users[role], { session_id: session, exp }) }));
      assert.deepEqual(sorted(said.permissions), sorted(GRANTED[role]));
      assert.deepEqual([said.user_id, said.organization_id, said.role, said.kind, said.session_id, said.api_key_id],
        [home.users[role], home.id, role, 'token', session, null]);
      sameMoment(said.expires_at, exp * 1000);
    });
  }

  test('says what an API key may do: what it names of what its owner may', async () => {
    const expiry = new Date(Date.now() + 3_600_000);
    for (const [scopes, permissions] of [
      [['*'], GRANTED.developer], [[], []], [['licenses:*', 'users:read'], GRANTED.developer.filter((one) => one.startsWith('licenses:'))],
    ]) {
      const key = await withApiKey(stack, home.users.developer, home.id, { scopes, expires_at: expiry });
      const said = await verify(key);
      assert.deepEqual(sorted(said.permissions), sorted(permissions));
      assert.deepEqual([said.kind, said.api_key_id, said.session_id, said.user_id], ['api_key', key.id, null, home.users.developer]);
      sameMoment(said.expires_at, expiry);
    }
    assert.equal((await verify(await withApiKey(stack, home.users.client, home.id))).expires_at, null);
  });

  test('takes no fields, with a body or without one', async () => {
    good(await home.as.viewer('POST', '/api/auth/verify'));
    refused(await home.as.viewer('POST', '/api/auth/verify', { body: { token: 'x' } }), 400, 'INVALID_BODY');
    refused(await caller(stack)('POST', '/api/auth/verify', { body: {} }), 401, 'UNAUTHENTICATED');
  });
});

describe('me', () => {
  test('is the profile, the organization and the permissions', async () => {
    const args = { id: home.id, body: { settings: { locale: 'es-MX' } } };
    good(await home.as.admin('PATCH', '/api/organizations/{id}', args));
    for (const role of ROLES) {
      const { profile, organization, permissions } = await me(home.as[role]);
      assert.deepEqual([profile.id, profile.role, profile.status, profile.organization_id], [home.users[role], role, 'active', home.id]);
      assert.deepEqual(organization, { id: home.id, name: home.slug, slug: home.slug, settings: { locale: 'es-MX' } });
      assert.deepEqual(sorted(permissions), sorted(GRANTED[role]));
    }
  });

  test('counts scopes', async () => {
    const id = await createUser(stack, home.id, 'viewer', { scopes: JSON.stringify(['licenses:write', 'organizations:create']) });
    const { permissions, profile } = await me(await signedIn(stack, id));
    assert.deepEqual(sorted(permissions), sorted([...GRANTED.viewer, 'licenses:write']));
    assert.deepEqual(profile.scopes, ['licenses:write', 'organizations:create']);
  });

  test('of a super administrator without an organization', async () => {
    const id = await createUser(stack, null, 'super_admin');
    const { organization, profile } = await me(await signedIn(stack, id));
    assert.deepEqual([organization, profile.id], [null, id]);
  });
});

describe('refresh, without a provider that answers', () => {
  const refresh = (body) => caller(stack)('POST', '/api/auth/refresh', { body });

  test('is unavailable, and says when to come back', async () => {
    const answer = await refresh({ refresh_token: 'x' });
    refused(answer, 503, 'SERVICE_UNAVAILABLE');
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
  });

  test('values out of bounds', async () => {
    refusedFields(await refresh({ refresh_token: '' }), 'refresh_token');
    refusedFields(await refresh({ refresh_token: 'x'.repeat(4097) }), 'refresh_token');
    refused(await refresh({}), 400, 'INVALID_BODY');
    refused(await refresh({ refresh_token: 1 }), 400, 'INVALID_BODY');
  });
});

test('somebody invited who never came is nobody yet', async () => {
  const id = await createUser(stack, home.id, 'viewer', { invited_at: new Date() });
  // Their id here is not the one they sign in with, but even if it were, they are there.
  refused(await (await signedIn(stack, randomUUID()))('GET', '/api/auth/me'), 401, 'PROFILE_NOT_FOUND');
  refused(await (await signedIn(stack, id))('GET', '/api/auth/me'), 401, 'PROFILE_NOT_FOUND');
  assert.equal((await rowOf(stack, 'users_profile', id)).activated_at, null);
});

test('a key tells what is personal only with the scope for it', async () => {
  const scopes = ['telemetry:write', 'licenses:read'];
  const key = await withApiKey(stack, home.users.viewer, home.id, { scopes });
  const { required } = refused(await key('GET', '/api/auth/me'), 403, 'FORBIDDEN');
  assert.equal(required, 'account:read');
  const text = JSON.stringify(good(await key('POST', '/api/auth/verify', { body: {} })));
  const { email } = await rowOf(stack, 'users_profile', home.users.viewer);
  assert.ok(!text.includes(email));
});
