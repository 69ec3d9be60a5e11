// Who is calling: access tokens of the sign-in provider and API keys.

import assert from 'node:assert/strict';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { SignJWT } from 'jose';
import { caller, eventually, good, refused } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { claims, insertApiKey, token } from './support/tokens.mjs';
import { PLANS, createOrganization, createUser, insertLicense, rowOf, withApiKey } from './support/world.mjs';

const LIST = ['GET', '/api/licenses'];
const shared = await sharedStack();

describe('tokens with the shared secret', () => {
  const stack = shared;
  const { vars } = stack;
  let home;
  let user;

  before(async () => {
    home = await createOrganization(stack);
    user = home.users.developer;
  });

  const withToken = async (text) => caller(stack, { token: await text })(...LIST);
  const now = () => Math.floor(Date.now() / 1000);

  test('a good one', async () => {
    good(await withToken(token(vars, user)));
    good(await withToken(token(vars, user, { aud: ['other', vars.SUPABASE_JWT_AUDIENCE ?? 'authenticated'] })));
    good(await withToken(token(vars, user, { nbf: now() - 10 })));
  });

  test('one whose times have a fraction (RFC 7519, 2)', async () => {
    good(await withToken(token(vars, user, { exp: now() + 600.25, iat: now() - 0.5, nbf: now() - 10.75 })));
    refused(await withToken(token(vars, user, { exp: now() - 120.5 })), 401, 'TOKEN_EXPIRED');
  });

  test('clocks may differ by half a minute', async () => {
    good(await withToken(token(vars, user, { iat: now() + 15, nbf: now() + 15 })));
    good(await withToken(token(vars, user, { exp: now() - 15 })));
  });

  test('one with an extension that has to be understood', async () => {
    for (const crit of [['exp'], ['b64'], []]) {
      const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const text = `${encode({ alg: 'HS256', crit, exp: 1, b64: true })}.${encode(claims(vars, user))}`;
      const signature = createHmac('sha256', vars.SUPABASE_JWT_SECRET).update(text).digest('base64url');
      refused(await withToken(`${text}.${signature}`), 401, 'INVALID_TOKEN');
    }
  });

  test('one of more than 8 KB', async () => {
    good(await withToken(token(vars, user, { more: 'x'.repeat(4_000) })));
    refused(await withToken(token(vars, user, { more: 'x'.repeat(7_000) })), 401, 'INVALID_TOKEN');
  });

  test('the scheme is read in any case', async () => {
    const text = await token(vars, user);
    for (const scheme of ['bearer', 'BEARER']) {
      good(await caller(stack)(...LIST, { headers: { authorization: `${scheme} ${text}` } }));
    }
  });

  test('an expired one says so', async () => {
    refused(await withToken(token(vars, user, { exp: now() - 120 })), 401, 'TOKEN_EXPIRED');
  });

  for (const [what, wrong] of Object.entries({
    'not yet valid': { nbf: now() + 600 },
    'made tomorrow': { iat: now() + 86_400 },
    'made at no time': { iat: 'today' },
    'without a session': { session_id: undefined },
    'of another issuer': { iss: 'https://elsewhere.example/auth/v1' },
    'without an issuer': { iss: undefined },
    'for another audience': { aud: 'anon' },
    'without an audience': { aud: undefined },
    'without an expiry': { exp: undefined },
    'without a subject': { sub: undefined },
    'whose subject is no UUID': { sub: 'somebody' },
    'that is the anon key': { role: 'anon', sub: undefined },
    'that is the service key': { role: 'service_role', sub: undefined },
    'with the service role and a subject': { role: 'service_role' },
  })) {
    test(`one ${what} is refused`, async () => {
      refused(await withToken(token(vars, user, wrong)), 401, 'INVALID_TOKEN');
    });
  }

  test('one signed with another secret', async () => {
    refused(await withToken(token(vars, user, {}, randomBytes(32).toString('hex'))), 401, 'INVALID_TOKEN');
  });

  test('other HMAC algorithms', async () => {
    for (const alg of ['HS384', 'HS512']) {
      const text = new SignJWT(claims(vars, user)).setProtectedHeader({ alg })
        .sign(new TextEncoder().encode(vars.SUPABASE_JWT_SECRET.padEnd(64, 'x')));
      refused(await withToken(text), 401, 'INVALID_TOKEN');
    }
  });

  test('alg none, in every spelling', async () => {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const alg of ['none', 'None', 'NONE', '']) {
      const unsigned = `${encode({ alg, typ: 'JWT' })}.${encode(claims(vars, user))}`;
      for (const signature of ['.', '.AAAA', '']) {
        refused(await withToken(unsigned + signature), 401, 'INVALID_TOKEN');
      }
    }
  });

  test('tampered ones', async () => {
    const [head, , signature] = (await token(vars, user)).split('.');
    const other = Buffer.from(JSON.stringify(claims(vars, home.users.admin))).toString('base64url');
    const flipped = signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
    const [, payload] = (await token(vars, user)).split('.');
    for (const text of [`${head}.${other}.${signature}`, `${head}.${payload}.${flipped}`, `${head}.${payload}`,
      `${head}.${payload}.${signature}.${signature}`, 'x', '..', 'a.b.c', 'x'.repeat(10_000)]) {
      refused(await withToken(text), 401, 'INVALID_TOKEN');
    }
  });

  test('neither a token nor a key', async () => {
    for (const headers of [{}, { authorization: 'Basic eDp5' }, { authorization: 'Bearer' }]) {
      refused(await caller(stack)(...LIST, { headers }), 401, 'UNAUTHENTICATED');
    }
  });

  test('a user without a profile, with a deleted one, or of a deleted organization', async () => {
    refused(await withToken(token(vars, randomUUID())), 401, 'PROFILE_NOT_FOUND');
    const gone = await createUser(stack, home.id, 'admin', { deleted_at: new Date() });
    refused(await withToken(token(vars, gone)), 401, 'PROFILE_NOT_FOUND');
    const closed = await createOrganization(stack, { roles: ['admin'] });
    good(await closed.as.admin(...LIST));
    good(await home.as.super_admin('DELETE', '/api/organizations/{id}', { id: closed.id }), 204);
    refused(await closed.as.admin(...LIST), 401, 'PROFILE_NOT_FOUND');
  });

  test('a user without an organization sees nothing', async () => {
    const loner = await createUser(stack, null, 'admin');
    refused(await withToken(token(vars, loner)), 403, 'FORBIDDEN');
  });

  test("a profile's scopes add to its role", async () => {
    const viewer = await createUser(stack, home.id, 'viewer', { scopes: JSON.stringify(['licenses:write']) });
    const call = caller(stack, { token: await token(vars, viewer) });
    good(await call('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
    const license = await insertLicense(stack, home.id);
    refused(await call('POST', '/api/licenses/{id}/revoke', { id: license.id, body: {} }), 403, 'FORBIDDEN');
  });

  test('a super administrator sees every tenant', async () => {
    const other = await createOrganization(stack, { roles: [] });
    const license = await insertLicense(stack, other.id);
    good(await home.as.super_admin('GET', '/api/licenses/{id}', { id: license.id }));
    refused(await home.as.admin('GET', '/api/licenses/{id}', { id: license.id }), 404, 'LICENSE_NOT_FOUND');
  });

  describe('API keys', () => {
    const create = { body: { plan_id: PLANS.free } };

    test('a good one acts for its owner', async () => {
      const call = await withApiKey(stack, user, home.id);
      const license = good(await call('POST', '/api/licenses', create), 201);
      assert.equal(license.organization_id, home.id);
      const { rows } = await stack.pg.query(
        'SELECT actor_kind, user_id, api_key_id FROM audit_logs WHERE resource_id = $1', [license.id]);
      assert.deepEqual(rows, [{ actor_kind: 'api_key', user_id: user, api_key_id: call.id }]);
    });

    test('wrong, inactive and expired ones', async () => {
      const { key } = await insertApiKey(stack.pg, vars, { user, organization: home.id });
      const last = key.at(-1) === 'x' ? 'y' : 'x';
      const wrong = [key.slice(0, -1) + last, `${key}x`, key.slice(0, 13), key.slice(0, 5), 'x', ' ', 'celk_', 'x'.repeat(10_000),
        key.toUpperCase(), '%00', "' OR '1'='1"];
      for (const text of wrong) {
        refused(await caller(stack, { apiKey: text })(...LIST), 401, 'INVALID_API_KEY');
      }
      good(await caller(stack, { apiKey: key })(...LIST));
      for (const state of [{ is_active: false }, { expires_at: new Date(Date.now() - 1000) }]) {
        refused(await (await withApiKey(stack, user, home.id, state))(...LIST), 401, 'INVALID_API_KEY');
      }
      good(await (await withApiKey(stack, user, home.id, { expires_at: new Date(Date.now() + 60_000) }))(...LIST));
    });

    test('a key of a deleted user', async () => {
      const owner = await createUser(stack, home.id, 'developer');
      const call = await withApiKey(stack, owner, home.id);
      good(await call(...LIST));
      good(await home.as.admin('DELETE', '/api/users/{id}', { id: owner }), 204);
      refused(await call(...LIST), 401, 'INVALID_API_KEY');
    });

    test('scopes narrow and never widen', async () => {
      const license = await insertLicense(stack, home.id);
      const may = async (owner, scopes) => {
        const call = await withApiKey(stack, owner, home.id, { scopes });
        const read = await call('GET', '/api/licenses/{id}', { id: license.id });
        const write = await call('POST', '/api/licenses', create);
        return [read.status, write.status];
      };
      assert.deepEqual(await may(user, ['*']), [200, 201]);
      assert.deepEqual(await may(user, ['licenses:*']), [200, 201]);
      assert.deepEqual(await may(user, ['licenses:read']), [200, 403]);
      assert.deepEqual(await may(user, ['licenses:write']), [403, 201]);
      assert.deepEqual(await may(user, ['unknown:read', 'licenses']), [403, 403]);
      assert.deepEqual(await may(user, []), [403, 403]);
      assert.deepEqual(await may(home.users.viewer, ['*']), [200, 403]);
      assert.deepEqual(await may(home.users.viewer, ['licenses:write']), [403, 403]);
    });

    test('a token wins over a key that is sent with it', async () => {
      const { key } = await insertApiKey(stack.pg, vars, { user, organization: home.id, scopes: [] });
      good(await caller(stack, { token: await token(vars, user), apiKey: key })(...LIST));
      refused(await caller(stack, { token: 'bad', apiKey: key })(...LIST), 401, 'INVALID_TOKEN');
    });

    test('usage is counted, written behind', async () => {
      const call = await withApiKey(stack, user, home.id);
      for (let use = 0; use < 5; use += 1) good(await call(...LIST));
      const used = await eventually(async () => {
        const row = await rowOf(stack, 'user_api_keys', call.id);
        return row.last_used_at && Number(row.usage_count) === 5 && row;
      }, 20_000);
      assert.ok(Date.now() - used.last_used_at < 120_000);
    });
  });
});
