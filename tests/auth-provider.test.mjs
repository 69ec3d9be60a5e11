// What needs the sign-in provider: the first sign-in of somebody invited, new tokens, and telling it of a
// sign-out. The provider is a stand-in that checks what it is asked.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { caller, eventually, good, refused } from './support/api.mjs';
import { about } from './support/calendar.mjs';
import { startProvider } from './support/gotrue.mjs';
import { startStack } from './harness/client.mjs';
import { token } from './support/tokens.mjs';
import { auditOf, createOrganization, createUser, insert, rowOf, topicsAbout, withApiKey } from './support/world.mjs';

let provider;
let stack;
let home;

before(async () => {
  provider = await startProvider();
  stack = await startStack({ vars: { SUPABASE_URL: provider.url } });
  provider.vars = stack.vars;
  home = await createOrganization(stack);
});
beforeEach(() => {
  provider.asked.length = 0;
  provider.trouble = undefined;
});
after(async () => {
  await stack?.stop();
  provider?.close();
});

const LIST = ['GET', '/api/licenses'];

describe('the first sign-in of somebody invited', () => {
  const invite = async (email, body = {}, by = home.as.admin) =>
    good(await by('POST', '/api/users', { body: { email, ...body } }), 201);

  /** Somebody who signed up at the provider. */
  const signUp = (email, more = {}) => {
    const person = { id: randomUUID(), aud: 'authenticated', email: email.toLowerCase(), email_confirmed_at: new Date().toISOString(), ...more };
    provider.people.set(person.id, person);
    return person;
  };
  const as = async (person, more = {}) => caller(stack, { token: await token(stack.vars, person.id, { email: person.email, ...more }) });
  const address = () => `Somebody-${randomUUID()}@Example.test`;
  const askedOf = (person) => provider.asked.filter(({ what, subject }) => what === 'user' && subject === person.id).length;

  test('makes the profile theirs', async () => {
    const email = address();
    const user = await invite(email, { role: 'developer', first_name: 'Ada' });
    const call = await as(signUp(email));
    const { profile } = good(await call('GET', '/api/auth/me'));
    assert.deepEqual([profile.id, profile.status, profile.role, profile.first_name], [user.id, 'active', 'developer', 'Ada']);
    about(profile.activated_at, Date.now());
    const rows = await auditOf(stack, user.id);
    assert.deepEqual(rows.map(({ event, user_id: by }) => [event, by]), [['user.invited', home.users.admin], ['user.activated', user.id]]);
    assert.deepEqual(rows[1].changes.after.status, 'active');
    assert.deepEqual(await topicsAbout(stack, 'user', user.id), ['user.invited', 'user.activated']);
    const { rows: sent } = await eventually(async () => {
      const found = await stack.pg.query(
        `SELECT sent_at FROM outbox_messages WHERE topic = 'user.activated' AND payload->'user'->>'id' = $1 AND sent_at IS NOT NULL`, [user.id]);
      return found.rows.length && found;
    });
    assert.equal(sent.length, 1);
    good(await call(...LIST));
    assert.equal(provider.asked.length, 1);
  });

  test('twenty first requests at once: one activation', async () => {
    const email = address();
    const user = await invite(email);
    const call = await as(signUp(email));
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(...LIST)));
    for (const answer of answers) good(answer);
    assert.deepEqual((await auditOf(stack, user.id)).map(({ event }) => event), ['user.invited', 'user.activated']);
    assert.deepEqual(await topicsAbout(stack, 'user', user.id), ['user.invited', 'user.activated']);
  });

  test('needs an address that the provider confirms', async () => {
    const email = address();
    const user = await invite(email);
    const refusals = [
      signUp(email, { email_confirmed_at: null }),
      signUp(email, { email_confirmed_at: undefined }),
      // The token is older than a change of the address.
      signUp(email, { email: 'other@example.test' }),
    ];
    for (const person of refusals) {
      refused(await (await as({ ...person, email }))(...LIST), 401, 'PROFILE_NOT_FOUND');
      assert.equal(askedOf(person), 1);
    }
    // Somebody whom the provider does not know any more, or takes for somebody else.
    refused(await (await as({ id: randomUUID(), email }))(...LIST), 401, 'PROFILE_NOT_FOUND');
    const stranger = signUp(email);
    provider.people.set(stranger.id, { ...stranger, id: randomUUID() });
    refused(await (await as(stranger))(...LIST), 401, 'PROFILE_NOT_FOUND');
    const row = await rowOf(stack, 'users_profile', user.id);
    assert.deepEqual([row.activated_at, row.auth_user_id], [null, null]);
    assert.deepEqual((await auditOf(stack, user.id)).map(({ event }) => event), ['user.invited']);
  });

  test('needs an invitation that lives; without one the provider is not even asked', async () => {
    const [removed, closed] = [address(), address()];
    const gone = await invite(removed);
    good(await home.as.admin('DELETE', '/api/users/{id}', { id: gone.id }), 204);
    const place = await createOrganization(stack, { roles: ['admin'] });
    await invite(closed, {}, place.as.admin);
    await stack.pg.query('UPDATE organizations SET deleted_at = now() WHERE id = $1', [place.id]);
    for (const email of [removed, closed, address(), undefined, '', 'x', `${'x'.repeat(300)}@x.test`]) {
      const person = { id: randomUUID(), email };
      refused(await (await as(person))(...LIST), 401, 'PROFILE_NOT_FOUND');
    }
    assert.deepEqual(provider.asked, []);
  });

  test('is nothing for somebody who has a profile already', async () => {
    const email = address();
    const invited = await invite(email);
    const id = await createUser(stack, home.id, 'viewer');
    provider.people.set(id, { id, email: email.toLowerCase(), email_confirmed_at: new Date().toISOString() });
    const { profile } = good(await (await as({ id, email }))('GET', '/api/auth/me'));
    assert.equal(profile.id, id);
    // Also when their own organization was closed.
    const place = await createOrganization(stack, { roles: ['viewer'] });
    await stack.pg.query('UPDATE organizations SET deleted_at = now() WHERE id = $1', [place.id]);
    const stuck = place.users.viewer;
    provider.people.set(stuck, { id: stuck, email: email.toLowerCase(), email_confirmed_at: new Date().toISOString() });
    refused(await (await as({ id: stuck, email }))(...LIST), 401, 'PROFILE_NOT_FOUND');
    assert.equal((await rowOf(stack, 'users_profile', invited.id)).activated_at, null);
    assert.deepEqual(provider.asked, []);
  });

  test('somebody removed comes back by a new invitation, to a new profile', async () => {
    const email = address();
    const first = await invite(email);
    const person = signUp(email);
    good(await (await as(person))(...LIST));
    good(await home.as.admin('DELETE', '/api/users/{id}', { id: first.id }), 204);
    refused(await (await as(person))(...LIST), 401, 'PROFILE_NOT_FOUND');
    const second = await invite(email, { role: 'operator' });
    const { profile } = good(await (await as(person))('GET', '/api/auth/me'));
    assert.deepEqual([profile.id, profile.role], [second.id, 'operator']);
  });

  test('while the provider is away: later', async () => {
    const email = address();
    const user = await invite(email);
    const call = await as(signUp(email));
    for (const status of [500, 429]) {
      provider.trouble = { status };
      refused(await call(...LIST), 503, 'SERVICE_UNAVAILABLE');
    }
    provider.trouble = undefined;
    good(await call(...LIST));
    assert.equal((await rowOf(stack, 'users_profile', user.id)).auth_user_id !== null, true);
  });
});

describe('new tokens', () => {
  const refresh = (text) => caller(stack)('POST', '/api/auth/refresh', { body: { refresh_token: text } });

  test('are exchanged at the provider, once each', async () => {
    const text = provider.refreshToken(home.users.viewer, randomUUID());
    const tokens = good(await refresh(text));
    assert.deepEqual([tokens.token_type, tokens.expires_in], ['bearer', 3600]);
    about(new Date(tokens.expires_at * 1000).toISOString(), Date.now() + 3_600_000);
    good(await caller(stack, { token: tokens.access_token })('GET', '/api/auth/me'));
    assert.notEqual(tokens.refresh_token, text);
    refused(await refresh(text), 401, 'INVALID_REFRESH_TOKEN');
    good(await refresh(tokens.refresh_token));
    assert.deepEqual(provider.asked[0].body, { refresh_token: text });
  });

  test('of a sign-in that was ended here are refused, and it is ended there too', async () => {
    const session = randomUUID();
    const user = home.users.operator;
    await insert(stack, 'user_sessions', { user_id: user, organization_id: home.id, session_token: session, is_active: false, ended_at: new Date() });
    refused(await refresh(provider.refreshToken(user, session)), 401, 'SESSION_ENDED');
    await eventually(() => provider.asked.some(({ what, session: ended }) => what === 'logout' && ended === session));
  });

  test("the provider's refusals", async () => {
    for (const status of [400, 401, 403]) {
      provider.trouble = { status };
      refused(await refresh('x'), 401, 'INVALID_REFRESH_TOKEN');
    }
    for (const status of [302, 404, 500, 503]) {
      provider.trouble = { status };
      refused(await refresh('x'), 503, 'SERVICE_UNAVAILABLE');
    }
    provider.trouble = { status: 429, headers: { 'retry-after': '17' } };
    const slow = await refresh('x');
    refused(slow, 429, 'RATE_LIMITED');
    assert.equal(slow.headers.get('retry-after'), '17');
    provider.trouble = { status: 200 };
    refused(await refresh('x'), 503, 'SERVICE_UNAVAILABLE');
  });

  test('a provider that gives a token of somebody else’s project is not believed', async () => {
    const { SUPABASE_JWT_SECRET: secret } = stack.vars;
    provider.vars = { ...stack.vars, SUPABASE_JWT_SECRET: `not ${secret}` };
    try {
      refused(await refresh(provider.refreshToken(home.users.viewer, randomUUID())), 503, 'SERVICE_UNAVAILABLE');
    } finally {
      provider.vars = stack.vars;
    }
  });
});

describe('a sign-out', () => {
  const logout = async (user, session) => {
    const call = caller(stack, { token: await token(stack.vars, user, { session_id: session }) });
    return call('POST', '/api/auth/logout', { body: {} });
  };

  test('is told the provider', async () => {
    const session = randomUUID();
    good(await logout(home.users.viewer, session), 204);
    await eventually(() => provider.asked.some(({ what, session: ended, subject }) =>
      what === 'logout' && ended === session && subject === home.users.viewer));
    refused(await caller(stack)('POST', '/api/auth/refresh', { body: { refresh_token: provider.refreshToken(home.users.viewer, session) } }),
      401, 'SESSION_ENDED');
  });

  test('holds here while the provider is away', async () => {
    provider.trouble = { status: 500 };
    const session = randomUUID();
    good(await logout(home.users.viewer, session), 204);
    const call = caller(stack, { token: await token(stack.vars, home.users.viewer, { session_id: session }) });
    refused(await call(...LIST), 401, 'SESSION_ENDED');
  });
});

test('what is ended is ended after a restart too: nothing of it is in memory', async () => {
  const session = randomUUID();
  const user = home.users.developer;
  const call = caller(stack, { token: await token(stack.vars, user, { session_id: session }) });
  const key = await withApiKey(stack, user, home.id);
  good(await call(...LIST));
  good(await key(...LIST));
  good(await call('POST', '/api/auth/logout', { body: {} }), 204);
  good(await home.as.admin('DELETE', '/api/users/{id}/api-keys/{inner_id}', { id: user, inner_id: key.id }), 204);
  await stack.restart();
  refused(await call(...LIST), 401, 'SESSION_ENDED');
  refused(await key(...LIST), 401, 'INVALID_API_KEY');
});
