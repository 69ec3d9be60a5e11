// A webhook carries what its owner may read, and nothing of what other receivers keep secret.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { eventually, good, refused } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, auditOf, createOrganization, createUser, insert, rowOf, signedIn, withApiKey } from './support/world.mjs';
import { attempts, makeWebhook, startReceiver, verified } from './support/receiver.mjs';

const stack = await sharedStack();
const receivers = [];
let home;
let admin;

before(async () => {
  home = await createOrganization(stack, { roles: ['super_admin', 'admin', 'developer'] });
  admin = home.as.admin;
});
after(() => Promise.all(receivers.map((receiver) => receiver.close())));

/** A webhook of `call` with its receiver. */
async function listening(call, events) {
  const receiver = await startReceiver();
  receivers.push(receiver);
  const webhook = await makeWebhook(call, receiver.url, events);
  return { receiver, webhook, types: () => receiver.requests.map((request) => JSON.parse(request.text).type) };
}

const license = async (call, more) => good(await call('POST', '/api/licenses', { body: { plan_id: PLANS.free, ...more } }), 201);
const about = (receiver, id) => receiver.requests.some((request) => request.text.includes(id));

test('nobody subscribes to what they may not read', async () => {
  const subscribe = (call, events) => call('POST', '/api/webhooks', { body: { name: 'x', url: 'https://example.com/', events } });
  const { developer } = home.as;
  assert.deepEqual(refused(await subscribe(developer, ['license.*', 'user.*']), 403, 'PERMISSION_NOT_HELD'), { missing: ['users:read'] });
  assert.deepEqual(refused(await subscribe(developer, ['api_key.created']), 403, 'PERMISSION_NOT_HELD'), { missing: ['api_keys:read'] });
  const { webhook } = good(await subscribe(developer, ['license.*']), 201);
  refused(await developer('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { events: ['user.*'] } }), 403, 'PERMISSION_NOT_HELD');
  // Nor do they lead elsewhere what somebody else subscribed to.
  const { webhook: others } = good(await subscribe(admin, ['user.*']), 201);
  refused(await developer('PATCH', '/api/webhooks/{id}', { id: others.id, body: { url: 'https://example.org/' } }), 403, 'PERMISSION_NOT_HELD');
  good(await developer('PATCH', '/api/webhooks/{id}', { id: others.id, body: { name: 'renamed' } }));
  const needs = Object.fromEntries(good(await admin('GET', '/api/webhooks/events')).map(({ name, permission }) => [name, permission]));
  assert.equal(needs['user.updated'], 'users:read');
});

test('everything is what the owner may read, and what the key could that subscribed', async () => {
  const all = await listening(admin, ['*']);
  const developers = await listening(home.as.developer, ['*']);
  const key = await withApiKey(stack, home.users.admin, home.id, { scopes: ['webhooks:read', 'webhooks:write'] });
  const keys = await listening(key, ['*']);
  const person = await createUser(stack, home.id, 'viewer');
  good(await admin('PATCH', '/api/users/{id}', { id: person, body: { first_name: 'Ann' } }));
  const made = await license(admin);
  await eventually(() => about(all.receiver, person) && about(all.receiver, made.id) && about(developers.receiver, made.id));
  assert.ok(developers.types().every((type) => !type.startsWith('user.')), developers.types().join());
  assert.ok(keys.types().every((type) => type.startsWith('webhook.')), keys.types().join());
  // Nor is it read in the log of somebody else's webhook.
  const log = await eventually(async () => {
    const found = await attempts(home.as.developer, all.webhook.id, { event_type: 'user.updated' });
    return found.length && found;
  });
  assert.ok(log.every((attempt) => attempt.payload === null));
  const seen = await attempts(admin, all.webhook.id, { event_type: 'user.updated' });
  assert.ok(seen.some((attempt) => JSON.stringify(attempt.payload).includes(person)));
});

test('a client is told of its own licenses only, also in a replay', async () => {
  const since = new Date(Date.now() - 1000).toISOString();
  const person = await createUser(stack, home.id, 'client', { scopes: JSON.stringify(['webhooks:read', 'webhooks:write']) });
  const client = await signedIn(stack, person);
  const { receiver, webhook, types } = await listening(client, ['license.*', '*']);
  const others = await license(admin);
  const own = await license(admin, { owner_id: person });
  await eventually(() => about(receiver, own.id));
  good(await client('POST', '/api/webhooks/{id}/replay', { id: webhook.id, body: { since } }), 202);
  await eventually(() => receiver.requests.filter((request) => request.text.includes(own.id)).length > 1);
  assert.ok(!about(receiver, others.id));
  assert.ok(types().every((type) => type !== 'user.updated'), types().join());
});

test('a webhook without its owner is disabled, and whoever activates it takes it over', async () => {
  const person = await createUser(stack, home.id, 'admin');
  const { receiver, webhook } = await listening(await signedIn(stack, person), ['license.*']);
  await stack.pg.query('UPDATE users_profile SET deleted_at = now() WHERE id = $1', [person]);
  const missed = await license(admin);
  const disabled = await eventually(async () => {
    const row = good(await admin('GET', '/api/webhooks/{id}', { id: webhook.id }));
    return row.status === 'disabled' && row;
  });
  assert.equal(disabled.disabled_reason, 'owner');
  assert.ok((await auditOf(stack, webhook.id)).some(({ event }) => event === 'webhook.disabled'));
  const active = good(await admin('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { status: 'active' } }));
  assert.equal(active.user_id, home.users.admin);
  const made = await license(admin);
  await eventually(() => about(receiver, made.id));
  assert.ok(!about(receiver, missed.id));
});

test('the log shows a client what is about things of their own, whatever they could read before', async () => {
  const person = await createUser(stack, home.id, 'admin');
  const { receiver, webhook } = await listening(await signedIn(stack, person), ['license.*', 'organization.*']);
  const [others, own] = [await license(admin), await license(admin, { owner_id: person })];
  await eventually(() => about(receiver, others.id) && about(receiver, own.id));
  const log = async (as) => attempts(as, webhook.id, { event_type: 'license.created' });
  await eventually(async () => (await log(admin)).length >= 2);
  good(await admin('PATCH', '/api/users/{id}', { id: person, body: { role: 'client', scopes: ['webhooks:read', 'webhooks:write'] } }));
  const client = await signedIn(stack, person);
  const seen = await log(client);
  assert.equal(seen.length, 2);
  const shown = seen.filter(({ payload }) => payload !== null).map(({ payload }) => payload.data.license.id);
  assert.deepEqual(shown, [own.id]);
  // As in a replay.
  for (const { id, payload } of seen) {
    const answer = await client('POST', '/api/webhooks/{id}/deliveries/{inner_id}/replay', { id: webhook.id, inner_id: id });
    assert.equal(answer.status, payload === null ? 404 : 202);
  }
  assert.ok((await log(admin)).every(({ payload }) => payload !== null));
});

test('a webhook without its owner is taken over also after a pause, and together with other changes', async () => {
  for (const pausing of [true, false]) {
    const person = await createUser(stack, home.id, 'admin');
    const { receiver, webhook } = await listening(await signedIn(stack, person), ['license.created']);
    await stack.pg.query('UPDATE users_profile SET deleted_at = now() WHERE id = $1', [person]);
    await license(admin);
    await eventually(async () => (await rowOf(stack, 'webhooks', webhook.id)).status === 'disabled');
    const change = async (body) => good(await admin('PATCH', '/api/webhooks/{id}', { id: webhook.id, body }));
    if (pausing) {
      const { generation } = await rowOf(stack, 'webhooks', webhook.id);
      assert.equal((await change({ status: 'paused' })).disabled_reason, null);
      // A report of before that comes once more is out of date.
      assert.notEqual((await rowOf(stack, 'webhooks', webhook.id)).generation, generation);
    }
    assert.equal((await change({ status: 'active', events: ['license.*'] })).user_id, home.users.admin);
    const made = await license(admin);
    await eventually(() => about(receiver, made.id));
  }
});

test('a closed organization is told that it is closed, and nothing after that', async () => {
  const closing = await createOrganization(stack, { roles: ['admin'] });
  const { receiver, types } = await listening(closing.as.admin, ['*']);
  // What was committed before the end and is sent after it.
  const late = async () => {
    const id = randomUUID();
    await insert(stack, 'outbox_messages', {
      id, organization_id: closing.id, topic: 'license.updated', payload: { license: { id: randomUUID(), text: 'late' } },
      available_at: new Date(Date.now() - 1000),
    });
    return id;
  };
  const first = await late();
  await stack.triggerCron('* * * * *');
  await eventually(() => types().includes('license.updated'));
  assert.ok((await rowOf(stack, 'outbox_messages', first)).id);
  good(await home.as.super_admin('DELETE', '/api/organizations/{id}', { id: closing.id }), 204);
  await eventually(() => types().includes('organization.deleted'));
  const told = receiver.requests.length;
  const second = await late();
  await stack.triggerCron('* * * * *');
  await eventually(async () => (await rowOf(stack, 'outbox_messages', second)).processed_at);
  // A webhook of somebody else hears of what came after, and that one did not.
  const { receiver: other } = await listening(admin, ['license.*']);
  const made = await license(admin);
  await eventually(() => about(other, made.id));
  assert.equal(receiver.requests.length, told);
  assert.deepEqual(types().filter((type) => type === 'license.updated').length, 1);
});

test('what a receiver keeps in its address is nobody else\'s', async () => {
  const { receiver } = await listening(admin, ['webhook.*']);
  const secret = 'token=very-secret';
  const { webhook } = good(await admin('POST', '/api/webhooks', {
    body: { name: 'Secret', url: `https://example.com/in?${secret}`, events: ['user.*'] },
  }), 201);
  assert.ok(webhook.url.includes(secret));
  good(await admin('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { url: `https://example.org/in?${secret}` } }));
  await eventually(() => receiver.requests.filter((request) => request.text.includes(webhook.id)).length >= 2);
  assert.ok(receiver.requests.every((request) => !request.text.includes('very-secret')));
  const audit = JSON.stringify(await auditOf(stack, webhook.id));
  assert.ok(audit.includes('https://example.org/in?…') && !audit.includes('very-secret'), audit);
});

test('every secret that was promised signs, and there is an end to promises', async () => {
  const { receiver, webhook } = await listening(admin, ['license.*']);
  const secrets = [webhook.secret];
  for (let count = 0; count < 4; count += 1) {
    secrets.push(good(await admin('POST', '/api/webhooks/{id}/rotate-secret', { id: webhook.id })).secret);
  }
  refused(await admin('POST', '/api/webhooks/{id}/rotate-secret', { id: webhook.id }), 409, 'WEBHOOK_SECRETS_FULL');
  const made = await license(admin);
  const request = await eventually(() => receiver.requests.find((one) => one.text.includes(made.id)));
  for (const secret of secrets) verified(request, secret);
});

test('a new name while it is being given up changes nothing', async () => {
  const { receiver, webhook } = await listening(admin, ['license.*']);
  receiver.answer = () => ({ status: 410 });
  await license(admin);
  await eventually(() => receiver.requests.length);
  good(await admin('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { name: 'In between' } }));
  const row = await eventually(async () => {
    const found = await rowOf(stack, 'webhooks', webhook.id);
    return found.status === 'disabled' && found;
  });
  assert.deepEqual([row.disabled_reason, row.name], ['gone', 'In between']);
});
