// The first super administrator of a system, made by somebody who owns the database and is no superuser.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { caller, good, refused } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { startProvider } from './support/gotrue.mjs';
import { accept } from './support/invitations.mjs';
import { token } from './support/tokens.mjs';
import { auditOf } from './support/world.mjs';

let provider;
let stack;

before(async () => {
  provider = await startProvider();
  stack = await startStack({ vars: { SUPABASE_URL: provider.url } });
  provider.vars = stack.vars;
});
after(async () => {
  await stack?.stop();
  provider?.close();
});

const run = promisify(execFile);
const create = (...options) => run(process.execPath, ['scripts/admin.mjs', ...options],
  { env: { ...process.env, DATABASE_URL: stack.schemaOwnerUrl, DASHBOARD_URL: 'https://dash.example/' } });
const count = async (table) => (await stack.pg.query(`SELECT count(*)::int FROM ${table}`)).rows[0].count;

test('an invitation, accepted, makes a super administrator; the second run finds everything', async () => {
  const organization = `Compañía ${randomUUID().slice(0, 8)}`;
  const email = `Root-${randomUUID()}@Example.test`;
  const options = ['--email', email, '--organization', organization];
  const { stdout } = await create(...options);
  const link = new URL(stdout.match(/https:\/\/dash\.example\/invitation\?\S+/)[0]);
  const again = await create(...options);
  const second = new URL(again.stdout.match(/https:\/\/dash\.example\/invitation\?\S+/)[0]);
  const people = await count('users_profile');
  const person = { id: randomUUID(), email: email.toLowerCase(), email_confirmed_at: new Date().toISOString() };
  provider.people.set(person.id, person);
  const bearer = await token(stack.vars, person.id);
  refused(await accept(stack, bearer, link.searchParams.get('token')), 404, 'INVITATION_NOT_FOUND');
  const root = good(await accept(stack, bearer, second.searchParams.get('token')));
  assert.deepEqual([root.role, root.email, root.status], ['super_admin', email.toLowerCase(), 'active']);
  const call = caller(stack, { token: bearer });
  const me = good(await call('GET', '/api/auth/me'));
  assert.equal(me.organization.name, organization);
  good(await call('POST', '/api/plans', { body: { code: `p-${randomUUID()}`, name: 'First' } }), 201);
  const third = await create(...options);
  assert.ok(third.stdout.includes('nothing changed'));
  assert.equal(await count('users_profile'), people);
  assert.deepEqual((await auditOf(stack, root.id)).map(({ event }) => event), ['user.invited', 'user.invited', 'user.activated']);
});

test('an account of the provider is one at once', async () => {
  const subject = randomUUID();
  const { stdout } = await create('--email', `${subject}@example.test`, '--organization', 'Acme Two', '--slug', `t-${subject}`, '--subject', subject);
  assert.ok(stdout.includes('from now on'));
  const me = good(await caller(stack, { token: await token(stack.vars, subject) })('GET', '/api/auth/me'));
  assert.equal(me.profile.role, 'super_admin');
});

test('what cannot be done says why', async () => {
  const fails = async (pattern, ...options) => assert.rejects(create(...options), (error) => pattern.test(`${error.stdout}${error.stderr}`));
  await fails(/usage/, '--email', 'a@b.co');
  await fails(/usage/, '--email', 'a@b.co', '--organisation', 'X');
  await fails(/not an e-mail address/, '--email', 'nobody', '--organization', 'X');
  await fails(/UUID/, '--email', 'a@b.co', '--organization', 'X', '--subject', 'x');
  await fails(/with the role developer/, '--email', 'dev@acme.test', '--organization', 'Acme');
});
