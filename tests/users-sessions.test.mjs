// Sign-ins: noticed, listed, ended for all their tokens at once.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, eventually, good, refused } from './support/api.mjs';
import { about } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { token } from './support/tokens.mjs';
import { auditOf, createOrganization, createUser, insert, rowOf, signedIn, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
const path = '/api/users/{id}/sessions';
const one = '/api/users/{id}/sessions/{inner_id}';
const CHROME = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36';
let home;
let id;

before(async () => {
  home = await createOrganization(stack);
  id = await createUser(stack, home.id, 'viewer');
});

/** A sign-in of somebody that was used once: how to call with it and its row. */
async function signIn(user, agent = CHROME) {
  const session = randomUUID();
  const call = caller(stack, { token: await token(stack.vars, user, { session_id: session }) });
  const headers = { 'user-agent': agent, 'cf-connecting-ip': '203.0.113.7' };
  good(await call('GET', '/api/licenses', { headers }));
  const row = await eventually(async () => {
    const { rows } = await stack.pg.query('SELECT * FROM user_sessions WHERE session_token = $1', [session]);
    return rows[0];
  });
  return { session, call, row };
}

describe('a sign-in', () => {
  test('is listed with its device, the current one marked', async () => {
    const first = await signIn(id);
    const second = await signIn(id, 'curl/8');
    const answer = await second.call('GET', path, { id });
    const sessions = good(answer);
    assert.equal(answer.body.meta.total, 2);
    const of = (made) => sessions.find((session) => session.id === made.row.id);
    assert.deepEqual([of(first).is_current, of(second).is_current], [false, true]);
    assert.deepEqual(of(first).device_info, { browser: 'Chrome', os: 'macOS', device_type: 'desktop' });
    assert.equal(of(first).user_agent, CHROME);
    assert.deepEqual([of(first).is_active, of(first).ended_at, of(first).user_id], [true, null, id]);
    about(of(first).last_seen_at, Date.now());
    assert.ok(!answer.text.includes(first.session), 'the name of the sign-in at the provider is shown');
  });

  test('is a login, once', async () => {
    const user = await createUser(stack, home.id, 'viewer');
    const { call, row } = await signIn(user);
    good(await call('GET', '/api/licenses'));
    assert.deepEqual((await auditOf(stack, row.id)).map(({ event, action, user_id: by }) => [event, action, by]), [['user.login', 'login', user]]);
    const profile = await eventually(async () => {
      const found = await rowOf(stack, 'users_profile', user);
      return found.login_count && found;
    });
    assert.equal(profile.login_count, 1);
    about(profile.last_login_at.toISOString(), Date.now());
  });

  test('that is ended: the same token is useless at once, the others are not', async () => {
    const user = await createUser(stack, home.id, 'viewer');
    const [kept, lost] = [await signIn(user), await signIn(user)];
    const refreshed = caller(stack, { token: await token(stack.vars, user, { session_id: lost.session, exp: Math.floor(Date.now() / 1000) + 7200 }) });
    good(await kept.call('DELETE', one, { id: user, inner_id: lost.row.id }), 204);
    for (const call of [lost.call, refreshed]) {
      for (let round = 0; round < 5; round += 1) refused(await call('GET', '/api/licenses'), 401, 'SESSION_ENDED');
    }
    good(await kept.call('GET', '/api/licenses'));
    const row = await rowOf(stack, 'user_sessions', lost.row.id);
    assert.ok(!row.is_active && row.ended_at);
    const [, ended] = await auditOf(stack, lost.row.id);
    assert.deepEqual([ended.event, ended.resource_type, ended.user_id, ended.organization_id], ['session.ended', 'session', user, home.id]);
    assert.deepEqual([ended.changes.before.is_active, ended.changes.after.is_active], [true, false]);

    // A second time changes nothing.
    good(await kept.call('DELETE', one, { id: user, inner_id: lost.row.id }), 204);
    assert.equal((await auditOf(stack, lost.row.id)).length, 2);
    assert.deepEqual((await rowOf(stack, 'user_sessions', lost.row.id)).ended_at, row.ended_at);
    const active = good(await kept.call('GET', path, { id: user, query: { is_active: true } }));
    assert.deepEqual(active.map((session) => session.id), [kept.row.id]);
  });

  test('ended by many at once: one audit row', async () => {
    const user = await createUser(stack, home.id, 'viewer');
    const { row } = await signIn(user);
    const answers = await Promise.all(Array.from({ length: 10 }, () => home.as.admin('DELETE', one, { id: user, inner_id: row.id })));
    for (const answer of answers) good(answer, 204);
    assert.deepEqual((await auditOf(stack, row.id)).map(({ event }) => event), ['user.login', 'session.ended']);
  });

  test("of somebody else under one's own name: 404", async () => {
    const theirs = await signIn(home.users.developer);
    const own = await signIn(id);
    refused(await own.call('DELETE', one, { id, inner_id: theirs.row.id }), 404, 'NOT_FOUND');
    refused(await own.call('DELETE', one, { id: home.users.developer, inner_id: theirs.row.id }), 403, 'FORBIDDEN');
    good(await theirs.call('GET', '/api/licenses'));
  });

  test('of somebody who may do more is not for a manager to end', async () => {
    const { row } = await signIn(home.users.admin);
    refused(await home.as.manager('DELETE', one, { id: home.users.admin, inner_id: row.id }), 403, 'PERMISSION_NOT_HELD');
    const viewers = await signIn(home.users.viewer);
    good(await home.as.manager('DELETE', one, { id: home.users.viewer, inner_id: viewers.row.id }), 204);
    refused(await viewers.call('GET', '/api/licenses'), 401, 'SESSION_ENDED');
  });

  test('that ended stays so when it is used again', async () => {
    const user = await createUser(stack, home.id, 'viewer');
    const session = randomUUID();
    await insert(stack, 'user_sessions', {
      user_id: user, organization_id: home.id, session_token: session, is_active: false, ended_at: new Date(),
    });
    const call = caller(stack, { token: await token(stack.vars, user, { session_id: session }) });
    refused(await call('GET', '/api/licenses'), 401, 'SESSION_ENDED');
    refused(await call('POST', '/api/auth/logout', { body: {} }), 401, 'SESSION_ENDED');
    const { rows } = await stack.pg.query('SELECT is_active FROM user_sessions WHERE session_token = $1', [session]);
    assert.deepEqual(rows, [{ is_active: false }]);
  });

  test('an API key has none', async () => {
    const user = await createUser(stack, home.id, 'viewer');
    const key = await withApiKey(stack, user, home.id);
    assert.deepEqual(good(await key('GET', path, { id: user })), []);
  });
});

describe('logout', () => {
  test('ends the own sign-in and no other', async () => {
    const user = await createUser(stack, home.id, 'client');
    const [kept, left] = [await signIn(user), await signIn(user)];
    good(await left.call('POST', '/api/auth/logout', { body: {} }), 204);
    refused(await left.call('GET', '/api/auth/me'), 401, 'SESSION_ENDED');
    refused(await left.call('POST', '/api/auth/logout', { body: {} }), 401, 'SESSION_ENDED');
    good(await kept.call('GET', '/api/auth/me'));
    const [, row] = await auditOf(stack, left.row.id);
    assert.deepEqual([row.event, row.action, row.user_id], ['user.logout', 'logout', user]);
  });

  test('as the very first request of a sign-in', async () => {
    const user = await createUser(stack, home.id, 'viewer');
    for (let round = 0; round < 5; round += 1) {
      const session = randomUUID();
      const call = caller(stack, { token: await token(stack.vars, user, { session_id: session }) });
      good(await call('POST', '/api/auth/logout'), 204);
      refused(await call('GET', '/api/auth/me'), 401, 'SESSION_ENDED');
      const { rows } = await stack.pg.query('SELECT is_active FROM user_sessions WHERE session_token = $1', [session]);
      assert.deepEqual(rows, [{ is_active: false }]);
    }
  });

  test('is nothing for an API key', async () => {
    const key = await withApiKey(stack, id, home.id);
    refused(await key('POST', '/api/auth/logout', { body: {} }), 403, 'FORBIDDEN');
    good(await key('GET', '/api/auth/me'));
  });
});

test('somebody removed loses every sign-in, noted or not', async () => {
  const user = await createUser(stack, home.id, 'viewer');
  const noted = await signIn(user);
  const fresh = await signedIn(stack, user);
  good(await home.as.admin('DELETE', '/api/users/{id}', { id: user }), 204);
  refused(await noted.call('GET', '/api/licenses'), 401, 'PROFILE_NOT_FOUND');
  refused(await fresh('GET', '/api/licenses'), 401, 'PROFILE_NOT_FOUND');
});
