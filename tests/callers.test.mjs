// Who is calling is known to the caller's object: what a call costs, and that a change is seen by the next one.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { caller, counts, good, refused } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { apiKey, token } from './support/tokens.mjs';
import { createOrganization, createUser, signedIn, withApiKey } from './support/world.mjs';

const ME = ['GET', '/api/auth/me'];
const LIST = ['GET', '/api/licenses'];

let stack;
let home;

before(async () => {
  stack = await sharedStack();
  home = await createOrganization(stack);
});

/** Somebody new of the organization, with a token and with an API key. */
async function newcomer(role = 'developer') {
  const id = await createUser(stack, home.id, role);
  return { id, token: await signedIn(stack, id), key: await withApiKey(stack, id, home.id) };
}

describe('what a call costs', () => {
  for (const way of ['token', 'key']) {
    test(`with a ${way}: read once, then one object call and the endpoint's own statement`, async () => {
      const { [way]: call } = await newcomer();
      const first = await call(...LIST);
      good(first);
      assert.deepEqual(counts(first), { db: 2, do: 2 });
      for (let round = 0; round < 3; round += 1) {
        assert.deepEqual(counts(await call(...LIST)), { db: 1, do: 1 });
        assert.deepEqual(counts(await call(...ME)), { db: 0, do: 1 });
      }
    });
  }

  test('another sign-in of the same person is read once', async () => {
    const { id, token: first } = await newcomer();
    good(await first(...ME));
    const second = await signedIn(stack, id);
    assert.deepEqual(counts(await second(...ME)), { db: 1, do: 2 });
    assert.deepEqual(counts(await second(...ME)), { db: 0, do: 1 });
    assert.deepEqual(counts(await first(...ME)), { db: 0, do: 1 });
  });

  test('what cannot be a key touches nothing', async () => {
    const good = apiKey(stack.vars.API_KEY_PEPPER);
    const other = good.at(-1) === 'A' ? 'B' : 'A';
    for (const text of ['x', 'celk_', good.slice(1), `${good}A`, good.slice(0, -1) + other, apiKey('another pepper')]) {
      const answer = await caller(stack, { apiKey: text })(...ME);
      refused(answer, 401, 'INVALID_API_KEY');
      assert.deepEqual(counts(answer), { db: 0, do: 0 }, text);
    }
    refused(await caller(stack, { apiKey: good })(...ME), 401, 'INVALID_API_KEY');
  });
});

describe('the very next request', () => {
  /** Calls all the time while `change` happens; each call that starts after its answer must satisfy `after`. */
  async function storm(call, change, after) {
    let changed = false;
    let stopped = false;
    const late = [];
    const one = async () => {
      while (!stopped) {
        const isLate = changed;
        const answer = await call(...ME);
        if (isLate) late.push(answer);
      }
    };
    const callers = Array.from({ length: 8 }, one);
    await change();
    changed = true;
    for (let calls = 0; calls < 5; calls += 1) late.push(await call(...ME));
    stopped = true;
    await Promise.all(callers);
    for (const answer of late) after(answer);
    assert.ok(late.length >= 5);
  }

  test('knows another role', async () => {
    for (const way of ['token', 'key']) {
      const { id, [way]: call } = await newcomer('developer');
      good(await call(...ME));
      await storm(
        call,
        async () => good(await home.as.admin('PATCH', '/api/users/{id}', { id, body: { role: 'viewer' } })),
        (answer) => assert.equal(good(answer).profile.role, 'viewer'),
      );
    }
  });

  test('knows that the person is gone', async () => {
    for (const [way, code] of [['token', 'PROFILE_NOT_FOUND'], ['key', 'INVALID_API_KEY']]) {
      const { id, [way]: call } = await newcomer();
      good(await call(...ME));
      await storm(
        call,
        async () => good(await home.as.admin('DELETE', '/api/users/{id}', { id }), 204),
        (answer) => assert.ok([401, 429].includes(answer.status), `${answer.status} instead of ${code}`),
      );
    }
  });

  test('knows that the sign-in was ended, and others of the person go on', async () => {
    const { id } = await newcomer();
    const text = await token(stack.vars, id);
    const call = caller(stack, { token: text });
    const other = await signedIn(stack, id);
    good(await call(...ME));
    good(await other(...ME));
    await storm(
      call,
      async () => good(await call('POST', '/api/auth/logout', { body: {} }), 204),
      (answer) => assert.ok([401, 429].includes(answer.status)),
    );
    refused(await call(...ME), 401, 'SESSION_ENDED');
    good(await other(...ME));
  });

  test('knows what the profile and the organization say now', async () => {
    const { id, token: call } = await newcomer();
    good(await call(...ME));
    good(await call('PATCH', '/api/users/{id}/profile', { id, body: { preferences: { theme: 'dark' } } }));
    assert.deepEqual(good(await call(...ME)).profile.preferences, { theme: 'dark' });
    const settings = { locale: 'es-MX' };
    good(await home.as.admin('PATCH', '/api/organizations/{id}', { id: home.id, body: { settings } }));
    assert.deepEqual(good(await call(...ME)).organization.settings, settings);
  });
});
