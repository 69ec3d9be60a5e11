// Changing secrets, as docs/operate.md has it: what was issued stays good while its secret is listed, what is
// issued uses the last one, and removing a secret ends what was issued under it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { caller, eventually, good, refused } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { makeWebhook, startReceiver, verified } from './support/receiver.mjs';
import { apiKey, checksum } from './support/tokens.mjs';
import { createOrganization, PLANS, signedIn } from './support/world.mjs';

const fresh = () => randomBytes(32).toString('base64url');

let stack;
let receiver;
let home;

before(async () => {
  receiver = await startReceiver();
  stack = await startStack({ vars: { RATE_LIMIT_PER_MIN: '100' } });
  home = await createOrganization(stack, { roles: ['admin'] });
});
after(async () => {
  await receiver?.close();
  await stack?.stop();
});

/** Starts the worker again with these secrets and signs in anew. */
async function start(vars) {
  await stack.restart({ vars, kill: 'SIGKILL' });
  home.as.admin = await signedIn(stack, home.users.admin);
}

const admin = (...args) => home.as.admin(...args);
const validate = async (key) => good(await caller(stack)('POST', '/api/licenses/validate', { body: { license_key: key } }));
const newLicense = async () => good(await admin('POST', '/api/licenses', { body: { plan_id: PLANS.professional } }), 201).license_key;
const newKey = async () => good(await admin('POST', '/api/users/{id}/api-keys', {
  id: home.users.admin, body: { name: 'key', scopes: ['licenses:read'] },
}), 201);
const calls = (key) => caller(stack, { apiKey: key })('GET', '/api/licenses');

test('LICENSE_KEY_SECRET', async () => {
  const [old, next] = [stack.vars.LICENSE_KEY_SECRET, fresh()];
  const before = await newLicense();
  assert.equal((await validate(before)).valid, true);

  await start({ LICENSE_KEY_SECRET: `${old}, ${next}` });
  assert.equal((await validate(before)).valid, true);
  const later = await newLicense();
  assert.equal((await validate(later)).valid, true);
  const made = (key, secret) => checksum({ LICENSE_KEY_SECRET: secret }, key.slice(0, -5)) === key.slice(-4);
  assert.deepEqual([made(before, old), made(later, next), made(later, old)], [true, true, false]);

  await start({ LICENSE_KEY_SECRET: next });
  const answer = await caller(stack)('POST', '/api/licenses/validate', { body: { license_key: before } });
  assert.equal(good(answer).code, 'INVALID_KEY');
  assert.deepEqual(answer.counts, { db: 0, do: 0 });
  assert.equal((await validate(later)).valid, true);
});

test('API_KEY_PEPPER', async () => {
  const [old, next] = [stack.vars.API_KEY_PEPPER, fresh()];
  const [before, exchanged] = [await newKey(), await newKey()];
  good(await calls(before.key));

  await start({ API_KEY_PEPPER: `${old},${next}` });
  good(await calls(before.key));
  // Its object knows it now: no more than without a list.
  assert.deepEqual((await calls(before.key)).counts, { db: 1, do: 1 });
  const later = await newKey();
  const { key: successor } = good(await admin('POST', '/api/users/{id}/api-keys/{inner_id}/rotate', {
    id: home.users.admin, inner_id: exchanged.id, body: {},
  }), 201);
  for (const key of [later.key, successor, exchanged.key]) good(await calls(key));
  for (const pepper of [old, next]) {
    const unknown = await calls(apiKey(pepper));
    refused(unknown, 401, 'INVALID_API_KEY');
    assert.ok(unknown.counts.do > 0, 'it could be one of ours, so its object was asked');
  }

  await start({ API_KEY_PEPPER: next });
  for (const key of [before.key, exchanged.key]) {
    const answer = await calls(key);
    refused(answer, 401, 'INVALID_API_KEY');
    assert.deepEqual(answer.counts, { db: 0, do: 0 });
  }
  for (const key of [later.key, successor]) good(await calls(key));
});

test('ENCRYPTION_KEY', async () => {
  const [old, next] = [stack.vars.ENCRYPTION_KEY, fresh()];
  const before = await makeWebhook(home.as.admin, receiver.url);
  const arrives = async ({ id, secret }) => {
    const { length } = receiver.requests;
    good(await admin('POST', '/api/webhooks/{id}/test', { id, body: {} }), 202);
    const request = await eventually(async () => receiver.requests.slice(length).find(({ text }) => text.includes('webhook.test')));
    verified(request, secret);
  };
  await arrives(before);

  await start({ ENCRYPTION_KEY: `${old},${next}` });
  await arrives(before);
  const later = await makeWebhook(home.as.admin, receiver.url);
  await arrives(later);

  // A key is known by its place, so another one takes it.
  await start({ ENCRYPTION_KEY: `${fresh()},${next}` });
  await arrives(later);
  // What was under the old one waits for a new secret.
  const { length } = receiver.requests;
  good(await admin('POST', '/api/webhooks/{id}/test', { id: before.id, body: {} }), 202);
  const { secret } = good(await admin('POST', '/api/webhooks/{id}/rotate-secret', { id: before.id, body: {} }));
  const request = await eventually(async () => receiver.requests.slice(length).find(({ text }) => text.includes('webhook.test')));
  verified(request, secret);
});
