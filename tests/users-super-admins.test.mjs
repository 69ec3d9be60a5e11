// The last super administrator stays, whoever acts at the same time. On a stack of its own, because nobody
// else may be one here.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization } from './support/world.mjs';

let stack;

before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

const change = (by, id, body) => by('PATCH', '/api/users/{id}', { id, body });
const remove = (by, id) => by('DELETE', '/api/users/{id}', { id });
const leave = (by) => by('POST', '/api/users/me/leave', { body: {} });

/** Organizations with a super administrator each, when nobody else is one. */
async function alone(count) {
  await stack.pg.query(`UPDATE users_profile SET role = 'admin' WHERE role = 'super_admin'`);
  return Promise.all(Array.from({ length: count }, () => createOrganization(stack, { roles: ['super_admin', 'admin'] })));
}

describe('two at once', () => {
  const close = (by, id) => by('DELETE', '/api/organizations/{id}', { id });
  const ways = {
    'remove each other': (one, two) => [remove(one.as.super_admin, two.users.super_admin), remove(two.as.super_admin, one.users.super_admin)],
    'demote each other': (one, two) => [
      change(one.as.super_admin, two.users.super_admin, { role: 'admin' }), change(two.as.super_admin, one.users.super_admin, { role: 'admin' }),
    ],
    "close each other's organization": (one, two) => [close(one.as.super_admin, two.id), close(two.as.super_admin, one.id)],
    'leave': (one, two) => [leave(one.as.super_admin), leave(two.as.super_admin)],
  };
  for (const [name, way] of Object.entries(ways)) {
    test(`${name}: one stays`, async () => {
      for (let round = 0; round < 5; round += 1) {
        const answers = await Promise.all(way(...await alone(2)));
        const refusals = answers.filter((answer) => answer.status >= 300);
        assert.equal(refusals.length, 1, answers.map((answer) => answer.text).join());
        // Whoever was demoted a moment ago does not see other organizations any more.
        assert.ok([401, 403, 404, 409].includes(refusals[0].status), refusals[0].text);
      }
    });
  }
});

test('the last one may not leave, nor be demoted by themselves', async () => {
  const [home] = await alone(1);
  refused(await leave(home.as.super_admin), 409, 'LAST_ADMIN');
  refused(await change(home.as.super_admin, home.users.super_admin, { role: 'admin' }), 409, 'OWN_ACCOUNT');
  const away = await createOrganization(stack, { roles: ['super_admin'] });
  good(await leave(home.as.super_admin), 204);
  refused(await leave(away.as.super_admin), 409, 'LAST_ADMIN');
});
