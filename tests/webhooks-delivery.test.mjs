// What receivers of webhooks are sent, and what becomes of it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, good, refused } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, createOrganization, insertLicense, rowOf } from './support/world.mjs';
import { attempts, deadUrl, makeWebhook, startReceiver, verified } from './support/receiver.mjs';

const stack = await sharedStack();
const receivers = [];
let ours;
let as;

before(async () => {
  ours = await createOrganization(stack, { roles: ['admin'] });
  as = ours.as.admin;
});

after(() => Promise.all(receivers.map((receiver) => receiver.close())));

/** A webhook with its receiver, for an organization of its own unless `caller` is given. */
async function listening(answer, events = ['license.*'], caller = undefined) {
  const receiver = await startReceiver(answer);
  receivers.push(receiver);
  let call = caller;
  if (!call) {
    const organization = await createOrganization(stack, { roles: ['admin'] });
    call = organization.as.admin;
    call.organization = organization.id;
  }
  const webhook = await makeWebhook(call, receiver.url, events);
  return { receiver, webhook, call, secret: webhook.secret };
}

const license = async (call) => good(await call('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
const sent = (receiver, count) => eventually(() => receiver.requests.length >= count && receiver.requests);

test('an event arrives signed, once, and is in the log', async () => {
  const { receiver, webhook, call, secret } = await listening(() => ({ status: 200, body: 'thanks' }));
  const made = await license(call);
  const [request] = await sent(receiver, 1);
  const said = verified(request, secret);
  assert.equal(said.type, 'license.created');
  assert.equal(said.data.license.id, made.id);
  assert.equal(said.data.license.notes, undefined);
  assert.ok(Math.abs(request.timestamp - Date.now() / 1000) < 60);
  const [attempt] = await eventually(async () => {
    const found = await attempts(call, webhook.id);
    return found.length && found;
  });
  assert.equal(attempt.event_id, request.id);
  assert.equal(attempt.status, 'delivered');
  assert.equal(attempt.response_status, 200);
  assert.equal(attempt.response_body, 'thanks');
  assert.equal(attempt.attempt_number, 1);
  assert.equal(attempt.error_message, null);
  assert.equal(attempt.next_attempt_at, null);
  assert.deepEqual(attempt.payload, said);
  const row = await rowOf(stack, 'webhooks', webhook.id);
  assert.ok(row.last_delivery_at);
  assert.equal(receiver.requests.length, 1);
});

test('only what is subscribed to, and only of the own organization', async () => {
  const { receiver, call } = await listening(undefined, ['license.revoked', 'user.*']);
  const other = await listening(undefined, ['*']);
  const made = await license(call);
  good(await call('POST', '/api/licenses/{id}/revoke', { id: made.id, body: {} }));
  const [request] = await sent(receiver, 1);
  assert.equal(JSON.parse(request.text).type, 'license.revoked');
  await license(other.call);
  await eventually(() => other.receiver.requests.some((one) => one.text.includes('license.created')));
  assert.ok(other.receiver.requests.every((one) => !one.text.includes(made.id)));
  assert.equal(receiver.requests.length, 1);
});

test('a failure is tried again after five seconds, with the same id and a new signature', async () => {
  const { receiver, webhook, call, secret } = await listening((_, earlier) => ({ status: earlier.length ? 204 : 500, body: earlier.length ? '' : 'no' }));
  await license(call);
  const [first, second] = await sent(receiver, 2);
  for (const request of [first, second]) verified(request, secret);
  assert.equal(second.id, first.id);
  assert.equal(second.text, first.text);
  assert.ok(second.at - first.at >= 5_000);
  assert.ok(second.timestamp > first.timestamp);
  assert.notEqual(second.headers['webhook-signature'], first.headers['webhook-signature']);
  const log = await eventually(async () => {
    const found = await attempts(call, webhook.id);
    return found.length === 2 && found;
  });
  assert.deepEqual(log.map((one) => [one.attempt_number, one.status, one.response_status]), [[1, 'failed', 500], [2, 'delivered', 204]]);
  assert.ok(Date.parse(log[0].next_attempt_at) - Date.parse(log[0].created_at) >= 5_000);
  assert.equal((await attempts(call, webhook.id, { status: 'failed' })).length, 1);
  assert.equal((await attempts(call, webhook.id, { status: 'delivered', event_id: first.id })).length, 1);
  assert.equal((await attempts(call, webhook.id, { event_type: 'user.created' })).length, 0);
  const later = new Date(Date.now() + 60_000).toISOString();
  assert.equal((await attempts(call, webhook.id, { created_after: later })).length, 0);
});

test('Retry-After is honoured', async () => {
  const { receiver, call } = await listening((_, earlier) => (
    earlier.length ? { status: 200 } : { status: 429, headers: { 'retry-after': '8' } }));
  await license(call);
  const [first, second] = await sent(receiver, 2);
  assert.ok(second.at - first.at >= 8_000);
});

test('redirects are not followed, and the first kilobyte of an answer is kept', async () => {
  const elsewhere = await startReceiver();
  receivers.push(elsewhere);
  const { receiver, webhook, call } = await listening((_, earlier) => (earlier.length
    ? { status: 200, body: '\u0000é'.repeat(5_000) }
    : { status: 302, headers: { location: elsewhere.url }, body: 'there' }));
  await license(call);
  await sent(receiver, 2);
  assert.equal(elsewhere.requests.length, 0);
  const log = await eventually(async () => {
    const found = await attempts(call, webhook.id);
    return found.length === 2 && found;
  });
  assert.equal(log[0].response_status, 302);
  assert.equal(log[0].status, 'failed');
  assert.equal(log[0].response_body, 'there');
  const kept = Buffer.from(log[1].response_body);
  assert.ok(kept.length <= 1024 && kept.length > 600, String(kept.length));
  assert.ok(log[1].response_body.startsWith('éé') && !log[1].response_body.includes('\u0000'));
});

test('who answers late has not answered, and a body without end is cut off', async () => {
  const { receiver, webhook, call } = await listening((_, earlier) => (earlier.length
    ? (response) => {
      // Never ends.
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'.repeat(100)), 5);
      response.on('close', () => clearInterval(timer));
    }
    : () => {}));
  await license(call);
  const log = await eventually(async () => {
    const found = await attempts(call, webhook.id);
    return found.length === 2 && found;
  }, 40_000);
  assert.equal(log[0].response_status, null);
  assert.match(log[0].error_message, /15 seconds/);
  assert.ok(log[0].duration_ms >= 15_000 && log[0].duration_ms < 20_000, String(log[0].duration_ms));
  assert.equal(log[1].status, 'delivered');
  assert.equal(log[1].response_body, 'x'.repeat(1024));
  assert.equal(receiver.requests.length, 2);
});

test('410 disables at once, with an audit row and an e-mail, until somebody activates it', async () => {
  const { receiver, webhook, call } = await listening((_, earlier) => ({ status: earlier.length ? 200 : 410 }));
  await license(call);
  await sent(receiver, 1);
  const disabled = await eventually(async () => {
    const found = good(await call('GET', '/api/webhooks/{id}', { id: webhook.id }));
    return found.status === 'disabled' && found;
  });
  assert.equal(disabled.disabled_reason, 'gone');
  assert.ok(disabled.disabled_at);
  const missed = await license(call);
  await eventually(async () => {
    const { rows } = await stack.pg.query(
      `SELECT 1 FROM outbox_messages WHERE payload->'license'->>'id' = $1 AND processed_at IS NOT NULL`, [missed.id]);
    return rows.length === 1;
  });
  refused(await call('POST', '/api/webhooks/{id}/test', { id: webhook.id }), 409, 'WEBHOOK_INACTIVE');
  const { rows: audit } = await stack.pg.query(
    `SELECT event, changes, actor_kind FROM audit_logs WHERE resource_id = $1 AND event = 'webhook.disabled'`, [webhook.id]);
  assert.equal(audit.length, 1);
  assert.equal(audit[0].actor_kind, 'system');
  const { rows: mails } = await stack.pg.query(
    `SELECT payload FROM outbox_messages WHERE topic = 'email.send' AND payload->'data'->>'webhook_id' = $1`, [webhook.id]);
  assert.equal(mails.length, 1);
  assert.equal(mails[0].payload.template, 'webhook_disabled');
  assert.match(mails[0].payload.to, /^admin-/);
  const active = good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { status: 'active' } }));
  assert.deepEqual([active.status, active.disabled_reason, active.consecutive_failures], ['active', null, 0]);
  const made = await license(call);
  await eventually(() => receiver.requests.some((request) => request.text.includes(made.id)));
  assert.equal(receiver.requests.length, 2);
});

test('what its address of before still answers is not the answer of the new one', async () => {
  let answer;
  const { receiver, webhook, call } = await listening(() => (response) => { answer = response; });
  const moved = await startReceiver();
  receivers.push(moved);
  const made = await license(call);
  await sent(receiver, 1);
  good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { url: moved.url } }));
  answer.writeHead(410).end();
  // It is tried again, where the webhook is now.
  await eventually(() => moved.requests.some((request) => request.text.includes(made.id)), 20_000);
  const row = await eventually(async () => {
    const found = await rowOf(stack, 'webhooks', webhook.id);
    return found.last_delivery_at && found;
  });
  assert.deepEqual([row.status, row.disabled_reason, row.consecutive_failures], ['active', null, 0]);
});

test('both secrets sign for a day after a rotation', async () => {
  const { receiver, webhook, call, secret } = await listening();
  const { secret: fresh, webhook: after } = good(await call('POST', '/api/webhooks/{id}/rotate-secret', { id: webhook.id }));
  assert.notEqual(fresh, secret);
  assert.ok(Math.abs(Date.parse(after.previous_secret_expires_at) - Date.now() - 86_400_000) < 60_000);
  await license(call);
  const [request] = await sent(receiver, 1);
  verified(request, secret);
  verified(request, fresh);
  assert.equal(request.headers['webhook-signature'].split(' ').length, 2);
  // The day has passed.
  await stack.pg.query(
    `UPDATE webhooks SET previous_secrets = jsonb_set(previous_secrets, '{0,expires_at}', to_jsonb(now() - interval '1 second')), version = version + 1 WHERE id = $1`, [webhook.id]);
  await license(call);
  const [, second] = await sent(receiver, 2);
  verified(second, fresh);
  assert.throws(() => verified(second, secret));
});

test('a paused webhook keeps its events until it is active again', async () => {
  const { receiver, webhook, call, secret } = await listening();
  good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { status: 'paused' } }));
  const [one, two] = [await license(call), await license(call)];
  // Another webhook shows that the events were dealt with.
  const control = await listening(undefined, ['license.*'], call);
  await license(call);
  await sent(control.receiver, 1);
  assert.equal(receiver.requests.length, 0);
  good(await call('PATCH', '/api/webhooks/{id}', { id: webhook.id, body: { status: 'active' } }));
  const requests = await sent(receiver, 3);
  const ids = requests.map((request) => verified(request, secret).data.license.id);
  assert.ok(ids.includes(one.id) && ids.includes(two.id));
});

test('a test goes to one webhook only', async () => {
  const { receiver, webhook, call, secret } = await listening(undefined, ['user.*']);
  const other = await listening(undefined, ['*'], call);
  const { event_id: id } = good(await call('POST', '/api/webhooks/{id}/test', { id: webhook.id }), 202);
  const [request] = await sent(receiver, 1);
  assert.equal(request.id, id);
  assert.deepEqual(verified(request, secret).data, { webhook: { id: webhook.id } });
  await license(call);
  await eventually(() => other.receiver.requests.some((one) => one.text.includes('license.created')));
  assert.ok(other.receiver.requests.every((one) => !one.text.includes('webhook.test')));
});

test('one delivery is sent again, with its id, and its attempts are counted on', async () => {
  const { receiver, webhook, call, secret } = await listening();
  await license(call);
  const [first] = await sent(receiver, 1);
  const [attempt] = await eventually(async () => {
    const found = await attempts(call, webhook.id);
    return found.length && found;
  });
  const args = { id: webhook.id, inner_id: attempt.id, headers: { 'idempotency-key': 'again' } };
  for (let time = 0; time < 2; time += 1) {
    const { event_id: id } = good(await call('POST', '/api/webhooks/{id}/deliveries/{inner_id}/replay', args), 202);
    assert.equal(id, first.id);
  }
  const [, second] = await sent(receiver, 2);
  assert.equal(second.id, first.id);
  assert.deepEqual(verified(second, secret), verified(first, secret));
  const log = await eventually(async () => {
    const found = await attempts(call, webhook.id);
    return found.length === 2 && found;
  });
  assert.deepEqual(log.map((one) => one.attempt_number), [1, 2]);
  // Its time is over before that of the later attempt, which does not carry it once more.
  await stack.pg.query('DELETE FROM webhook_deliveries WHERE id = $1', [attempt.id]);
  const later = { ...args, inner_id: log[1].id, headers: {} };
  refused(await call('POST', '/api/webhooks/{id}/deliveries/{inner_id}/replay', later), 410, 'DELIVERY_GONE');
});

test('all events since a moment are sent again, also those from before the webhook', async () => {
  const organization = await createOrganization(stack, { roles: ['admin'] });
  const call = organization.as.admin;
  const since = new Date(Date.now() - 60_000).toISOString();
  const made = [];
  for (let count = 0; count < 3; count += 1) made.push(await license(call));
  const { receiver, webhook, secret } = await listening(undefined, ['license.created'], call);
  const answer = good(await call('POST', '/api/webhooks/{id}/replay', { id: webhook.id, body: { since } }), 202);
  assert.deepEqual(answer, { events: 3, continue_since: null, continue_after: null });
  await eventually(() => new Set(receiver.requests.map((request) => request.id)).size === 3);
  const ids = new Set(receiver.requests.map((request) => verified(request, secret).data.license.id));
  assert.deepEqual([...ids].sort(), made.map((one) => one.id).sort());
  assert.ok(!receiver.requests.some((request) => request.text.includes('webhook.created')));
});

test('however much happened at one time, a replay gets past it', async () => {
  const { id: organization, as: { admin: call } } = await createOrganization(stack, { roles: ['admin'] });
  const { webhook } = await listening(undefined, ['license.created'], call);
  const since = new Date(Date.now() - 60_000).toISOString();
  const last = 'ffffffff-ffff-4fff-bfff-ffffffffffff';
  // As many as one request looks at, and the one that is asked for is the last of them.
  await stack.pg.query(
    `INSERT INTO outbox_messages (id, organization_id, topic, payload, created_at, sent_at)
     SELECT CASE n WHEN 0 THEN $3::uuid ELSE gen_random_uuid() END, $1, CASE n WHEN 0 THEN 'license.created' ELSE 'license.updated' END, '{}', $2, now()
     FROM generate_series(0, 5000) AS n`, [organization, since, last]);
  const replay = async (body) => good(await call('POST', '/api/webhooks/{id}/replay', { id: webhook.id, body }), 202);
  const { continue_since: from, continue_after: event, ...first } = await replay({ since });
  assert.deepEqual(first, { events: 0 });
  assert.equal(new Date(from).toISOString(), since);
  assert.deepEqual(await replay({ since: from, after: event }), { events: 1, continue_since: null, continue_after: null });
});

test('validations are told to webhooks that name them, and to no other', async () => {
  const named = await listening(undefined, ['license.validated']);
  const all = await listening(undefined, ['*', 'license.*'], named.call);
  const row = await insertLicense(stack, named.call.organization);
  const answer = await fetch(`${stack.url}/api/licenses/validate`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ license_key: row.license_key, ip_address: '192.0.2.77' }),
  });
  assert.equal(answer.status, 200);
  const [request] = await sent(named.receiver, 1);
  const said = verified(request, named.secret);
  assert.equal(said.type, 'license.validated');
  assert.equal(said.data.validation.license_id, row.id);
  assert.equal(said.data.validation.is_valid, true);
  assert.equal(said.data.validation.ip_address, '192.0.2.77');
  const { rows } = await stack.pg.query('SELECT id FROM license_validations WHERE license_id = $1', [row.id]);
  assert.equal(rows[0].id, request.id);
  assert.ok(all.receiver.requests.every((one) => JSON.parse(one.text).type !== 'license.validated'));
});

test('a dead or stuck receiver holds up nobody else', async () => {
  const organization = await createOrganization(stack, { roles: ['admin'] });
  const call = organization.as.admin;
  const dead = await makeWebhook(call, await deadUrl(), ['license.created']);
  await listening(() => () => {}, ['license.created'], call);
  const alive = await listening(undefined, ['license.created'], call);
  for (let count = 0; count < 10; count += 1) await license(call);
  await sent(alive.receiver, 10);
  const [attempt] = await eventually(async () => {
    const found = await attempts(call, dead.id);
    return found.length && found;
  });
  assert.equal(attempt.status, 'failed');
  assert.equal(attempt.response_status, null);
  assert.ok(attempt.error_message.length > 3);
});
