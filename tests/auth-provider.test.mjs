// What needs the sign-in provider: accepting an invitation, new tokens, and telling it of a sign-out. The provider is a stand-in that checks what it is asked.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { caller, eventually, good, refused } from './support/api.mjs';
import { about } from './support/calendar.mjs';
import { startProvider } from './support/gotrue.mjs';
import { startStack } from './harness/client.mjs';
import { accept, invitationTo } from './support/invitations.mjs';
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

describe('an invitation', () => {
  const invite = async (email, body = {}, by = home.as.admin) =>
    good(await by('POST', '/api/users', { body: { email, ...body } }), 201);

  /** Somebody who signed up at the provider. */
  const signUp = (email, more = {}) => {
    const person = { id: randomUUID(), aud: 'authenticated', email, email_confirmed_at: new Date().toISOString(), ...more };
    provider.people.set(person.id, person);
    return person;
  };
  const tokenOf = (person, more = {}) => token(stack.vars, person.id, { email: person.email, ...more });
  const as = async (person, more) => caller(stack, { token: await tokenOf(person, more) });
  /** Accepts what was sent to an address. */
  const acceptAs = async (person, user, more) => accept(stack, await tokenOf(person, more), (await invitationTo(stack, user.email)).token);
  const address = () => `somebody-${randomUUID()}@example.test`;
  const askedOf = (person) => provider.asked.filter(({ what, subject }) => what === 'user' && subject === person.id).length;
  const isOpen = async (user) => {
    const row = await rowOf(stack, 'users_profile', user.id);
    assert.deepEqual([row.activated_at, row.auth_user_id], [null, null]);
    assert.deepEqual((await auditOf(stack, user.id)).map(({ event }) => event), ['user.invited']);
  };

  test('is accepted with its token; signing in alone is not accepting', async () => {
    const email = address();
    const user = await invite(email, { role: 'developer', first_name: 'Ada' });
    const person = signUp(email);
    const session = { session_id: randomUUID() };
    refused(await (await as(person, session))(...LIST), 401, 'PROFILE_NOT_FOUND');
    assert.deepEqual(provider.asked, []);
    const accepted = good(await acceptAs(person, user, session));
    assert.deepEqual([accepted.id, accepted.status, accepted.role, accepted.first_name, accepted.invitation_expires_at],
      [user.id, 'active', 'developer', 'Ada', null]);
    about(accepted.activated_at, Date.now());
    // With the token that was nobody's a moment ago.
    const { profile } = good(await (await as(person, session))('GET', '/api/auth/me'));
    assert.equal(profile.id, user.id);
    const rows = await auditOf(stack, user.id);
    assert.deepEqual(rows.map(({ event, user_id: by }) => [event, by]), [['user.invited', home.users.admin], ['user.activated', user.id]]);
    assert.deepEqual(rows[1].changes.after.status, 'active');
    assert.deepEqual(await topicsAbout(stack, 'user', user.id), ['user.invited', 'user.activated']);
    await eventually(async () => {
      const { rows: sent } = await stack.pg.query(
        `SELECT sent_at FROM outbox_messages WHERE topic = 'user.activated' AND payload->'user'->>'id' = $1 AND sent_at IS NOT NULL`, [user.id]);
      return sent.length === 1;
    });
    assert.equal(askedOf(person), 1);
  });

  test('twenty at once: accepted once, and the same answer for all', async () => {
    const email = address();
    const user = await invite(email);
    const person = signUp(email);
    const answers = await Promise.all(Array.from({ length: 20 }, () => acceptAs(person, user)));
    for (const answer of answers) assert.equal(good(answer).id, user.id);
    assert.deepEqual((await auditOf(stack, user.id)).map(({ event }) => event), ['user.invited', 'user.activated']);
    const stranger = signUp(email);
    refused(await acceptAs(stranger, user), 404, 'INVITATION_NOT_FOUND');
  });

  test('needs the invited address, confirmed, in whatever spelling', async () => {
    const email = `ivan.k-${randomUUID()}@example.test`;
    const user = await invite(email);
    const refusals = [
      signUp(email, { email_confirmed_at: null }),
      signUp(email, { email_confirmed_at: undefined }),
      signUp(email, { email: undefined }),
      // The token is older than a change of the address.
      signUp(email, { email: address() }),
      // Letters that some take for an i and a k.
      signUp(email.replace('i', '\u0130')),
      signUp(email.replace('.k', '.\u212a')),
      signUp(email.replace('ivan', 'iv\u200ban')),
    ];
    for (const person of refusals) {
      refused(await acceptAs({ ...person, email }, user), 403, 'INVITATION_ADDRESS_MISMATCH');
      assert.equal(askedOf(person), 1);
    }
    // Somebody whom the provider does not know any more, or takes for somebody else.
    refused(await acceptAs({ id: randomUUID(), email }, user), 401, 'INVALID_TOKEN');
    const stranger = signUp(email);
    provider.people.set(stranger.id, { ...stranger, id: randomUUID() });
    refused(await acceptAs(stranger, user), 401, 'INVALID_TOKEN');
    // The profile's own id is no way in either.
    refused(await (await as({ id: user.id, email }))(...LIST), 401, 'PROFILE_NOT_FOUND');
    await isOpen(user);
    good(await acceptAs(signUp(email.toUpperCase()), user));
  });

  test('needs a token that lives; for another the provider is not even asked', async () => {
    const [removed, closed, late, again] = [address(), address(), address(), address()];
    const gone = await invite(removed);
    const place = await createOrganization(stack, { roles: ['admin'] });
    const there = await invite(closed, {}, place.as.admin);
    const over = await invite(late);
    const twice = await invite(again);
    const { token: first } = await invitationTo(stack, again);
    good(await home.as.admin('POST', '/api/users/{id}/resend-invitation', { id: twice.id }));
    good(await home.as.admin('DELETE', '/api/users/{id}', { id: gone.id }), 204);
    refused(await acceptAs(signUp(removed), gone), 404, 'INVITATION_NOT_FOUND');
    const person = signUp(again);
    refused(await accept(stack, await tokenOf(person), first), 404, 'INVITATION_NOT_FOUND');
    refused(await accept(stack, await tokenOf(person), 'x'.repeat(43)), 404, 'INVITATION_NOT_FOUND');
    refused(await accept(stack, undefined, first), 401, 'UNAUTHENTICATED');
    refused(await accept(stack, 'x', first), 401, 'INVALID_TOKEN');
    assert.deepEqual(provider.asked, []);
    await stack.pg.query('UPDATE organizations SET deleted_at = now() WHERE id = $1', [place.id]);
    refused(await acceptAs(signUp(closed), there), 404, 'INVITATION_NOT_FOUND');
    await stack.pg.query('UPDATE users_profile SET invitation_expires_at = now() WHERE id = $1', [over.id]);
    refused(await acceptAs(signUp(late), over), 404, 'INVITATION_NOT_FOUND');
    good(await acceptAs(person, twice));
  });

  test('captures nobody: the others stay open, and whoever belongs somewhere leaves first', async () => {
    const email = address();
    const theirs = await createOrganization(stack, { roles: ['admin', 'manager'] });
    const [own, other] = [await invite(email), await invite(email, {}, theirs.as.manager)];
    const person = signUp(email);
    // Both mails went to the one address: each has its own token.
    const { rows } = await stack.pg.query(
      `SELECT count(*)::int FROM outbox_messages WHERE topic = 'email.send' AND payload->>'to' = $1`, [email]);
    assert.equal(rows[0].count, 2);
    good(await acceptAs(person, other));
    await isOpen(own);
    const again = good(await home.as.admin('POST', '/api/users/{id}/resend-invitation', { id: own.id }));
    refused(await acceptAs(person, again), 409, 'ALREADY_MEMBER');
    good(await (await as(person))('POST', '/api/users/me/leave', { body: {} }), 204);
    refused(await (await as(person))(...LIST), 401, 'PROFILE_NOT_FOUND');
    assert.equal(good(await acceptAs(person, again)).organization_id, home.id);
    good(await (await as(person))(...LIST));
  });

  test('lets those out whose organization was closed', async () => {
    const place = await createOrganization(stack, { roles: ['super_admin', 'admin', 'viewer'] });
    const { email } = await rowOf(stack, 'users_profile', place.users.viewer);
    const user = await invite(email);
    const person = { id: place.users.viewer, email, email_confirmed_at: new Date().toISOString() };
    provider.people.set(person.id, person);
    refused(await acceptAs(person, user), 409, 'ALREADY_MEMBER');
    good(await home.as.super_admin('DELETE', '/api/organizations/{id}', { id: place.id }), 204);
    assert.equal(good(await acceptAs(person, user)).id, user.id);
    good(await (await as(person))(...LIST));
  });

  test('takes along the sign-in that it is accepted with', async () => {
    const place = await createOrganization(stack, { roles: ['super_admin', 'admin', 'viewer'] });
    const { email } = await rowOf(stack, 'users_profile', place.users.viewer);
    const user = await invite(email);
    const person = { id: place.users.viewer, email, email_confirmed_at: new Date().toISOString() };
    provider.people.set(person.id, person);
    const session_id = randomUUID();
    const call = await as(person, { session_id });
    good(await call(...LIST));
    const noted = async () => (await stack.pg.query('SELECT id, user_id, organization_id FROM user_sessions WHERE session_token = $1', [session_id])).rows[0];
    await eventually(noted);
    good(await home.as.super_admin('DELETE', '/api/organizations/{id}', { id: place.id }), 204);
    good(await acceptAs(person, user, { session_id }));
    good(await call(...LIST));
    assert.deepEqual(await noted(), { id: (await noted()).id, user_id: user.id, organization_id: home.id });
    const [shown] = good(await call('GET', '/api/users/{id}/sessions', { id: user.id }));
    assert.equal(shown.is_current, true);
    good(await call('POST', '/api/auth/logout', { body: {} }), 204);
    refused(await call(...LIST), 401, 'SESSION_ENDED');
  });

  test('somebody removed comes back by a new one, to a new profile', async () => {
    const email = address();
    const first = await invite(email);
    const person = signUp(email);
    good(await acceptAs(person, first));
    const call = await as(person);
    good(await call(...LIST));
    good(await home.as.admin('DELETE', '/api/users/{id}', { id: first.id }), 204);
    refused(await call(...LIST), 401, 'PROFILE_NOT_FOUND');
    const second = await invite(email, { role: 'operator' });
    const accepted = good(await acceptAs(person, second));
    assert.deepEqual([accepted.id, accepted.role], [second.id, 'operator']);
  });

  test('with a sign-in that was ended is refused', async () => {
    const email = address();
    const user = await invite(email);
    const person = signUp(email);
    const session = randomUUID();
    await insert(stack, 'user_sessions', {
      user_id: home.users.operator, organization_id: home.id, session_token: session, is_active: false, ended_at: new Date(),
    });
    refused(await acceptAs(person, user, { session_id: session }), 401, 'SESSION_ENDED');
    await isOpen(user);
  });

  test('while the provider is away: later', async () => {
    const email = address();
    const user = await invite(email);
    const person = signUp(email);
    for (const status of [500, 429]) {
      provider.trouble = { status };
      refused(await acceptAs(person, user), 503, 'SERVICE_UNAVAILABLE');
    }
    provider.trouble = undefined;
    await isOpen(user);
    good(await acceptAs(person, user));
  });
});

test('a first request beside a removal leaves no sign-in behind', async () => {
  for (let round = 0; round < 10; round += 1) {
    const id = await createUser(stack, home.id, 'viewer');
    const calls = await Promise.all(Array.from({ length: 5 }, () => token(stack.vars, id)));
    await Promise.all([
      ...calls.map((text) => caller(stack, { token: text })(...LIST)),
      home.as.admin('DELETE', '/api/users/{id}', { id }),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { rows } = await stack.pg.query('SELECT count(*)::int FROM user_sessions WHERE user_id = $1 AND is_active', [id]);
    assert.equal(rows[0].count, 0);
  }
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
