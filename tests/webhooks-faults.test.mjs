// What happens to webhooks when things go wrong: receivers that fail for long, addresses that are no
// longer allowed, and a worker that is killed.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { eventually, good, refusedFields } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { PLANS, createOrganization } from './support/world.mjs';
import { attempts, makeWebhook, startReceiver, verified } from './support/receiver.mjs';

let stack;
let call;
const receivers = [];

before(async () => {
  stack = await startStack({ vars: { WEBHOOK_DISABLE_AFTER_SECONDS: 4 } });
});

// What one test leaves behind is nothing to the next.
beforeEach(async () => {
  call = (await createOrganization(stack, { roles: ['admin'] })).as.admin;
});

after(async () => {
  await Promise.all(receivers.map((receiver) => receiver.close()));
  await stack.stop();
});

async function listening(answer, events = ['license.created']) {
  const receiver = await startReceiver(answer);
  receivers.push(receiver);
  const webhook = await makeWebhook(call, receiver.url, events);
  return { receiver, webhook, secret: webhook.secret };
}

const license = async () => good(await call('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);

test('a receiver that only fails for too long is disabled, with an audit row and one e-mail', async () => {
  const { receiver, webhook } = await listening(() => ({ status: 503 }));
  await license();
  const disabled = await eventually(async () => {
    const found = good(await call('GET', '/api/webhooks/{id}', { id: webhook.id }));
    return found.status === 'disabled' && found;
  }, 20_000);
  assert.equal(disabled.disabled_reason, 'failing');
  assert.ok(disabled.consecutive_failures >= 2 && disabled.failing_since);
  const { rows } = await stack.pg.query(
    `SELECT (SELECT count(*)::int FROM audit_logs WHERE resource_id = $1 AND event = 'webhook.disabled') AS audited,
       (SELECT count(*)::int FROM outbox_messages WHERE topic = 'email.send'
          AND payload->'data'->>'webhook_id' = $1::text) AS mailed`, [webhook.id]);
  assert.deepEqual(rows[0], { audited: 1, mailed: 1 });
  assert.equal(receiver.requests.length, 2);
});

test('killed between an attempt and the next, it goes on where it was', async () => {
  const { receiver, webhook, secret } = await listening((_, earlier) => ({ status: earlier.length ? 200 : 500 }));
  await license();
  await eventually(() => receiver.requests.length === 1);
  await stack.restart({ kill: 'SIGKILL' });
  await eventually(() => receiver.requests.some((request) => request.answered === 200), 30_000);
  for (const request of receiver.requests) verified(request, secret);
  assert.equal(new Set(receiver.requests.map((request) => request.id)).size, 1);
  await eventually(async () => {
    const found = good(await call('GET', '/api/webhooks/{id}', { id: webhook.id }));
    return found.consecutive_failures === 0 && found.last_delivery_at;
  });
});

test('killed while a receiver is being told, it tells it again', async () => {
  let answering = false;
  const { receiver, secret } = await listening(() => (answering ? { status: 200 } : () => {}));
  await license();
  await eventually(() => receiver.requests.length === 1);
  // From now on it answers; the one it was being told is lost with the worker.
  answering = true;
  await stack.restart({ kill: 'SIGKILL' });
  await eventually(() => receiver.requests.some((request) => request.answered === 200), 40_000);
  for (const request of receiver.requests) verified(request, secret);
  assert.equal(new Set(receiver.requests.map((request) => request.id)).size, 1);
});

test('what is told late of an address of before does not stand against the one of now', async () => {
  const { receiver, webhook } = await listening(() => ({ status: 500 }));
  const elsewhere = await startReceiver();
  receivers.push(elsewhere);
  const standing = async () => {
    const { consecutive_failures: failures, failing_since: since } = good(await call('GET', '/api/webhooks/{id}', { id: webhook.id }));
    return [failures, since];
  };
  // No report gets into PostgreSQL as long as somebody holds the log.
  const client = await stack.pg.connect();
  try {
    await client.query('BEGIN; LOCK TABLE webhook_deliveries IN EXCLUSIVE MODE');
    await license();
    await eventually(() => receiver.requests.length === 1);
    good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { url: elsewhere.url, status: 'paused' } }));
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  await eventually(async () => (await attempts(call, webhook.id)).length === 1, 30_000);
  assert.deepEqual(await standing(), [0, null]);
  // It is tried at the new one, which is told of.
  good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { status: 'active' } }));
  await eventually(async () => (await attempts(call, webhook.id)).length === 2, 30_000);
  assert.deepEqual(await standing(), [0, null]);
  assert.equal(elsewhere.requests.length, 1);
});

test('another address begins with a clean record', async () => {
  const { receiver, webhook } = await listening(() => ({ status: 500 }));
  await license();
  await eventually(async () => (await attempts(call, webhook.id)).length === 1, 30_000);
  const paused = good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { status: 'paused' } }));
  assert.deepEqual([paused.consecutive_failures, receiver.requests.length], [1, 1]);
  const moved = good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { url: (await startReceiver().then((one) => (receivers.push(one), one))).url } }));
  assert.deepEqual([moved.consecutive_failures, moved.failing_since], [0, null]);
});

test('addresses inside are refused when saved and again when sent', async () => {
  const { receiver, webhook } = await listening();
  await license();
  await eventually(() => receiver.requests.length === 1);
  await stack.restart({ vars: { WEBHOOK_ALLOW_PRIVATE: 'false' } });
  await license();
  const failed = await eventually(async () => {
    const found = await attempts(call, webhook.id, { status: 'failed' });
    return found.length && found;
  }, 20_000);
  assert.equal(failed[0].response_status, null);
  assert.ok(failed[0].error_message.length > 5);
  assert.equal(receiver.requests.length, 1);
  for (const url of [
    receiver.url, 'http://example.com/', 'https://127.0.0.1/', 'https://2130706433/', 'https://0x7f.1/', 'https://[::1]/',
    'https://[::ffff:10.0.0.1]/', 'https://[64:ff9b::a00:1]/', 'https://[2002:a00:1::]/', 'https://10.1.2.3/',
    'https://169.254.169.254/latest/meta-data', 'https://100.64.0.1/', 'https://localhost/', 'https://x.localhost./',
    'https://metadata.google.internal/', 'https://printer.local/', 'https://intranet/',
  ]) {
    refusedFields(await call('POST', '/api/webhooks', { body: { name: 'x', url, events: ['*'] } }), 'url');
    refusedFields(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { url } }), 'url');
  }
  good(await call('POST', '/api/webhooks', { body: { name: 'x', url: 'https://example.com/', events: ['user.*'] } }), 201);
});
