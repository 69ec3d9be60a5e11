// What must hold however many people act at once: nobody more than the organization has room for, never
// without an administrator, and nobody gives or takes what they do not hold.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { GRANTED, ROLES } from './support/roles.mjs';
import { auditOf, createOrganization, createUser, rowOf, signedIn, withApiKey } from './support/world.mjs';

const stack = await sharedStack();

const address = () => `${randomUUID()}@example.test`;
const invite = (by, body = {}) => by('POST', '/api/users', { body: { email: address(), ...body } });
const change = (by, id, body) => by('PATCH', '/api/users/{id}', { id, body });
const leave = (by) => by('POST', '/api/users/me/leave', { body: {} });
const remove = (by, id) => by('DELETE', '/api/users/{id}', { id });

/** An organization with these people and no others, and room for as many as said. */
async function organization(roles, maxUsers = -1) {
  const made = await createOrganization(stack, { roles });
  await stack.pg.query('UPDATE organizations SET max_users = $2 WHERE id = $1', [made.id, maxUsers]);
  return made;
}

async function people(id) {
  const { rows } = await stack.pg.query(
    'SELECT count(*)::int FROM users_profile WHERE organization_id = $1 AND deleted_at IS NULL', [id]);
  return rows[0].count;
}

describe('room', () => {
  test('fifty invitations at once for seven places', async () => {
    const home = await organization(['admin', 'manager', 'viewer'], 10);
    const ways = [
      () => invite(home.as.admin),
      () => invite(home.as.manager),
      () => home.as.admin('POST', '/api/organizations/{id}/members', { id: home.id, body: { email: address() } }),
    ];
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => ways[n % ways.length]()));
    const statuses = answers.map((answer) => answer.status);
    assert.equal(statuses.filter((status) => status === 201).length, 7, statuses.join());
    for (const answer of answers.filter(({ status }) => status !== 201)) refused(answer, 409, 'USER_LIMIT_REACHED');
    assert.equal(await people(home.id), 10);
    const { rows } = await stack.pg.query(
      `SELECT (SELECT count(*)::int FROM audit_logs WHERE organization_id = $1 AND event = 'user.invited') AS audited,
         (SELECT count(*)::int FROM outbox_messages WHERE organization_id = $1 AND topic = 'email.send') AS mails`, [home.id]);
    assert.deepEqual(rows[0], { audited: 7, mails: 7 });
  });

  test('a place that is left is free again', async () => {
    const home = await organization(['admin', 'viewer'], 2);
    refused(await invite(home.as.admin), 409, 'USER_LIMIT_REACHED');
    good(await remove(home.as.admin, home.users.viewer), 204);
    good(await invite(home.as.admin), 201);
    refused(await invite(home.as.admin), 409, 'USER_LIMIT_REACHED');
  });

  test('a lower limit throws nobody out', async () => {
    const home = await organization(['admin', 'manager', 'viewer'], 1);
    good(await home.as.viewer('GET', '/api/licenses'));
    refused(await invite(home.as.admin), 409, 'USER_LIMIT_REACHED');
  });

  test('the same address at once: one invitation', async () => {
    const home = await organization(['admin']);
    const email = address();
    const answers = await Promise.all(Array.from({ length: 10 }, () => invite(home.as.admin, { email })));
    assert.equal(answers.filter((answer) => answer.status === 201).length, 1);
    for (const answer of answers.filter(({ status }) => status !== 201)) refused(answer, 409, 'EMAIL_TAKEN');
    assert.equal(await people(home.id), 2);
  });
});

describe('the last administrator', () => {
  test('stays', async () => {
    const home = await organization(['admin', 'manager', 'super_admin']);
    for (const body of [{ role: 'viewer' }, { role: 'manager' }, { role: 'super_admin' }]) {
      refused(await change(home.as.super_admin, home.users.admin, body), 409, 'LAST_ADMIN');
    }
    refused(await remove(home.as.super_admin, home.users.admin), 409, 'LAST_ADMIN');
    // Somebody who was only invited, or is gone, administers nothing.
    await createUser(stack, home.id, 'admin', { invited_at: new Date() });
    await createUser(stack, home.id, 'admin', { deleted_at: new Date() });
    refused(await remove(home.as.super_admin, home.users.admin), 409, 'LAST_ADMIN');
    good(await change(home.as.super_admin, home.users.admin, { scopes: ['users:read'], first_name: 'Still' }));
    await createUser(stack, home.id, 'admin');
    good(await remove(home.as.super_admin, home.users.admin), 204);
  });

  test('two demote each other at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const home = await organization(['admin']);
      const second = await createUser(stack, home.id, 'admin');
      const bySecond = await signedIn(stack, second);
      const answers = await Promise.all(round % 2
        ? [change(home.as.admin, second, { role: 'viewer' }), change(bySecond, home.users.admin, { role: 'viewer' })]
        : [remove(home.as.admin, second), remove(bySecond, home.users.admin)]);
      // The one who comes second is no administrator any more, or is the last.
      const done = answers.filter((answer) => answer.status < 300);
      assert.equal(done.length, 1, answers.map((answer) => answer.text).join());
      assert.ok([401, 403, 409].includes(answers.find((answer) => answer.status >= 300).status));
      const { rows } = await stack.pg.query(
        `SELECT count(*)::int FROM users_profile WHERE organization_id = $1 AND role = 'admin' AND deleted_at IS NULL`, [home.id]);
      assert.equal(rows[0].count, 1);
    }
  });

  test('a super administrator demotes all of five at once', async () => {
    const home = await organization(['super_admin', 'admin']);
    const admins = [home.users.admin];
    for (let n = 1; n < 5; n += 1) admins.push(await createUser(stack, home.id, 'admin'));
    const answers = await Promise.all(admins.map((id) => change(home.as.super_admin, id, { role: 'viewer' })));
    assert.equal(answers.filter((answer) => answer.status === 200).length, 4);
    refused(answers.find((answer) => answer.status !== 200), 409, 'LAST_ADMIN');
  });
});

describe('leaving', () => {
  test('ends the own sign-ins and keys, and is told', async () => {
    const home = await organization(['admin', 'developer']);
    const id = home.users.developer;
    const key = await withApiKey(stack, id, home.id);
    refused(await leave(key), 403, 'FORBIDDEN');
    good(await leave(home.as.developer), 204);
    refused(await home.as.developer('GET', '/api/licenses'), 401, 'PROFILE_NOT_FOUND');
    refused(await key('GET', '/api/licenses'), 401, 'INVALID_API_KEY');
    const [row, ...more] = await auditOf(stack, id);
    assert.deepEqual(more, []);
    assert.deepEqual([row.event, row.user_id], ['user.removed', id]);
    assert.equal(await people(home.id), 1);
  });

  test('of the last administrator is refused, also of two at once', async () => {
    const home = await organization(['admin']);
    refused(await leave(home.as.admin), 409, 'LAST_ADMIN');
    const second = await signedIn(stack, await createUser(stack, home.id, 'admin'));
    const answers = await Promise.all([leave(home.as.admin), leave(second)]);
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [204, 409]);
  });
});

describe('the own account', () => {
  test('keeps its role and scopes, and stays', async () => {
    const home = await organization(['super_admin', 'admin', 'manager']);
    await createUser(stack, home.id, 'admin');
    for (const role of ['super_admin', 'admin', 'manager']) {
      const id = home.users[role];
      for (const body of [{ role: 'viewer' }, { scopes: ['licenses:read'] }, { role: role === 'admin' ? 'super_admin' : 'admin' }]) {
        refused(await change(home.as[role], id, body), 409, 'OWN_ACCOUNT');
        refused(await home.as[role]('PATCH', '/api/organizations/{id}/members/{inner_id}', { id: home.id, inner_id: id, body }), 409, 'OWN_ACCOUNT');
      }
      refused(await remove(home.as[role], id), 409, 'OWN_ACCOUNT');
      refused(await home.as[role]('DELETE', '/api/organizations/{id}/members/{inner_id}', { id: home.id, inner_id: id }), 409, 'OWN_ACCOUNT');
      good(await change(home.as[role], id, { first_name: 'Me', role, scopes: [] }));
    }
  });

  test("an API key is its owner's hand", async () => {
    const home = await organization(['admin']);
    await createUser(stack, home.id, 'admin');
    const key = await withApiKey(stack, home.users.admin, home.id);
    refused(await change(key, home.users.admin, { role: 'viewer' }), 409, 'OWN_ACCOUNT');
    refused(await remove(key, home.users.admin), 409, 'OWN_ACCOUNT');
  });
});

describe('nobody gives or touches what they do not hold', () => {
  let home;
  const covers = (role, other) => GRANTED[other].every((permission) => GRANTED[role].includes(permission));

  before(async () => {
    home = await organization(ROLES);
  });

  test('roles, by invitation and by change', async () => {
    for (const by of ['super_admin', 'admin', 'manager']) {
      const target = await createUser(stack, home.id, 'viewer');
      for (const role of ROLES) {
        const [invited, changed] = [await invite(home.as[by], { role }), await change(home.as[by], target, { role })];
        if (covers(by, role)) {
          good(invited, 201);
          good(changed);
          good(await change(home.as.super_admin, target, { role: 'viewer' }));
        } else {
          const missing = refused(invited, 403, 'PERMISSION_NOT_HELD').missing;
          assert.deepEqual(missing.toSorted(), GRANTED[role].filter((one) => !GRANTED[by].includes(one)).toSorted());
          refused(changed, 403, 'PERMISSION_NOT_HELD');
        }
      }
    }
  });

  test('people who may do more', async () => {
    for (const role of ROLES.filter((one) => !covers('manager', one))) {
      const target = await createUser(stack, home.id, role);
      refused(await change(home.as.manager, target, { role: 'viewer' }), 403, 'PERMISSION_NOT_HELD');
      refused(await change(home.as.manager, target, { first_name: 'X' }), 403, 'PERMISSION_NOT_HELD');
      refused(await remove(home.as.manager, target), 403, 'PERMISSION_NOT_HELD');
      assert.deepEqual(await auditOf(stack, target), []);
    }
    refused(await remove(home.as.admin, home.users.super_admin), 403, 'PERMISSION_NOT_HELD');
    const scoped = await createUser(stack, home.id, 'viewer', { scopes: JSON.stringify(['licenses:write']) });
    refused(await remove(home.as.manager, scoped), 403, 'PERMISSION_NOT_HELD');
    good(await remove(home.as.admin, scoped), 204);
  });

  test('scopes', async () => {
    for (const [by, scope, allowed] of [
      ['manager', 'users:*', true], ['manager', 'licenses:read', true], ['manager', 'licenses:*', false], ['manager', '*', false],
      ['admin', 'licenses:*', true], ['admin', 'settings:read', true], ['admin', 'settings:write', false], ['admin', '*', false],
      ['super_admin', '*', true],
    ]) {
      const target = await createUser(stack, home.id, 'viewer');
      const answers = [await invite(home.as[by], { scopes: [scope] }), await change(home.as[by], target, { scopes: [scope] })];
      for (const answer of answers) {
        if (allowed) assert.ok(answer.status < 300, `${by} ${scope}: ${answer.text}`);
        else refused(answer, 403, 'PERMISSION_NOT_HELD');
      }
      if (!allowed) assert.deepEqual((await rowOf(stack, 'users_profile', target)).scopes, []);
    }
  });

  test('an API key gives what it was given itself', async () => {
    const narrow = await withApiKey(stack, home.users.admin, home.id, { scopes: ['users:write'] });
    refused(await invite(narrow), 403, 'PERMISSION_NOT_HELD');
    refused(await remove(narrow, home.users.viewer), 403, 'PERMISSION_NOT_HELD');
    const people = await withApiKey(stack, home.users.admin, home.id, { scopes: GRANTED.manager });
    good(await invite(people, { role: 'manager' }), 201);
    refused(await invite(people, { role: 'admin' }), 403, 'PERMISSION_NOT_HELD');
  });

  test('a scope never gives what only a super administrator holds', async () => {
    const admin = await createUser(stack, home.id, 'admin', { scopes: JSON.stringify(['*', 'organizations:create']) });
    const by = await signedIn(stack, admin);
    refused(await invite(by, { role: 'super_admin' }), 403, 'PERMISSION_NOT_HELD');
    refused(await invite(by, { scopes: ['organizations:create'] }), 403, 'PERMISSION_NOT_HELD');
    refused(await by('POST', '/api/organizations', { body: { name: 'X' } }), 403, 'FORBIDDEN');
  });
});
