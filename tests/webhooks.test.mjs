// Webhooks as their owners manage them.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { auditOf, createOrganization, rowOf } from './support/world.mjs';
import { makeWebhook, startReceiver } from './support/receiver.mjs';

const stack = await sharedStack();
let ours;
let theirs;
let as;

before(async () => {
  ours = await createOrganization(stack);
  theirs = await createOrganization(stack, { roles: ['admin'] });
  as = ours.as.admin;
});

const URL = 'https://hooks.example.com/celaest';
const make = (more) => makeWebhook(as, URL, ['license.*'], more);

test('a webhook is made with a secret that is shown once and stored encrypted', async () => {
  const { secret, ...webhook } = await makeWebhook(as, 'https://hooks.example.com', ['user.*', 'license.created', 'user.*'], {
    name: ' Mine ', description: 'What it is for',
  });
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  assert.equal(webhook.name, 'Mine');
  assert.equal(webhook.url, 'https://hooks.example.com/');
  assert.deepEqual(webhook.events, ['license.created', 'user.*']);
  assert.equal(webhook.status, 'active');
  assert.equal(webhook.user_id, ours.users.admin);
  const row = await rowOf(stack, 'webhooks', webhook.id);
  assert.equal(row.secret_encrypted.length, 12 + secret.length + 16);
  assert.ok(!JSON.stringify(row).includes(secret));
  for (const [method, path] of [['GET', '/api/webhooks/{id}'], ['GET', '/api/webhooks']]) {
    const answer = await as(method, path, { id: webhook.id });
    good(answer);
    assert.ok(!answer.text.includes('whsec_'));
    assert.ok(!answer.text.includes('secret_encrypted'));
  }
  const [row1] = await auditOf(stack, webhook.id);
  assert.equal(row1.event, 'webhook.created');
  assert.ok(!JSON.stringify(row1).includes('whsec_'));
});

test('the same idempotency key gives the same secret, and no clear text is kept for it', async () => {
  const call = (name) => as('POST', '/api/webhooks', {
    body: { name, url: URL, events: ['*'] }, headers: { 'idempotency-key': 'once' },
  });
  const first = good(await call('Once'), 201);
  const second = good(await call('Once'), 201);
  assert.deepEqual(second, first);
  refused(await call('Twice'), 409, 'IDEMPOTENCY_CONFLICT');
  const { rows } = await stack.pg.query('SELECT response::text FROM idempotency_keys WHERE organization_id = $1', [ours.id]);
  assert.ok(rows.length > 0 && rows.every((row) => !row.response.includes('whsec_')));
});

test('what is wrong is named', async () => {
  const bad = async (more, ...fields) => refusedFields(await as('POST', '/api/webhooks', {
    body: { name: 'x', url: URL, events: ['*'], ...more },
  }), ...fields);
  await bad({ name: ' ' }, 'name');
  await bad({ name: 'x'.repeat(101) }, 'name');
  await bad({ description: 'x'.repeat(1001) }, 'description');
  await bad({ events: [] }, 'events');
  await bad({ events: ['license.created', 'license'] }, 'events[1]');
  await bad({ events: ['Order.completed'] }, 'events[0]');
  for (const url of ['', 'x', 'ftp://example.com/', 'https://a:b@example.com/', `https://example.com/${'x'.repeat(500)}`, 'javascript:1']) {
    await bad({ url }, 'url');
  }
  const webhook = await make();
  const change = async (body, ...fields) => refusedFields(
    await as('PATCH', '/api/webhooks/{id}', { id: webhook.id, body }), ...fields);
  await change({ name: '' }, 'name');
  await change({ description: 'x'.repeat(1001) }, 'description');
  await change({ events: ['nothing.*'] }, 'events[0]');
  await change({ url: 'gopher://x' }, 'url');
  for (const body of [{ status: 'disabled' }, { secret: 'x' }, { organization_id: theirs.id }]) {
    refused(await as('PATCH', '/api/webhooks/{id}', { id: webhook.id, body }), 400, 'INVALID_BODY');
  }
  for (const since of [new Date(Date.now() - 8 * 86_400_000), new Date(Date.now() + 3_600_000)]) {
    refusedFields(await as('POST', '/api/webhooks/{id}/replay', { id: webhook.id, body: { since } }), 'since');
  }
});

test('changes are kept, audited old and new, and nothing is written when nothing changes', async () => {
  const webhook = await make();
  const patch = async (body) => good(await as('PATCH', '/api/webhooks/{id}', { id: webhook.id, body }));
  const changed = await patch({
    name: 'Other', description: 'd', url: 'https://other.example.com/x', events: ['*'], status: 'paused',
  });
  assert.equal(changed.status, 'paused');
  assert.equal(changed.url, 'https://other.example.com/x');
  assert.equal((await patch({ description: null })).description, null);
  assert.equal((await patch({})).name, 'Other');
  const events = await auditOf(stack, webhook.id);
  assert.deepEqual(events.map((row) => row.event), ['webhook.created', 'webhook.updated', 'webhook.updated']);
  assert.deepEqual(events[2].changes, { before: { description: 'd' }, after: { description: null } });
});

test('another organization does not see it', async () => {
  const webhook = await make();
  const other = theirs.as.admin;
  const args = { id: webhook.id };
  refused(await other('GET', '/api/webhooks/{id}', args), 404, 'WEBHOOK_NOT_FOUND');
  refused(await other('PATCH', '/api/webhooks/{id}', { ...args, body: { name: 'x' } }), 404, 'WEBHOOK_NOT_FOUND');
  refused(await other('DELETE', '/api/webhooks/{id}', args), 404, 'WEBHOOK_NOT_FOUND');
  refused(await other('POST', '/api/webhooks/{id}/test', args), 404, 'WEBHOOK_NOT_FOUND');
  refused(await other('POST', '/api/webhooks/{id}/rotate-secret', args), 404, 'WEBHOOK_NOT_FOUND');
  refused(await other('GET', '/api/webhooks/{id}/deliveries', args), 404, 'WEBHOOK_NOT_FOUND');
  refused(await other('POST', '/api/webhooks/{id}/replay', { ...args, body: { since: new Date() } }), 404, 'WEBHOOK_NOT_FOUND');
  assert.deepEqual(good(await other('GET', '/api/webhooks')), []);
  refused(await as('POST', '/api/webhooks/{id}/deliveries/{inner_id}/replay', { ...args, inner_id: randomUUID() }), 404, 'NOT_FOUND');
});

test('a deleted webhook is gone, and its place is free', async () => {
  const webhook = await make();
  assert.equal((await as('DELETE', '/api/webhooks/{id}', { id: webhook.id })).status, 204);
  refused(await as('GET', '/api/webhooks/{id}', { id: webhook.id }), 404, 'WEBHOOK_NOT_FOUND');
  refused(await as('DELETE', '/api/webhooks/{id}', { id: webhook.id }), 404, 'WEBHOOK_NOT_FOUND');
  const row = await rowOf(stack, 'webhooks', webhook.id);
  assert.equal(row.secret_encrypted.length, 0);
  assert.deepEqual((await auditOf(stack, webhook.id)).map((one) => one.event), ['webhook.created', 'webhook.deleted']);
});

test('an organization has room for twenty, also when thirty come together', async () => {
  const other = theirs.as.admin;
  const answers = await Promise.all(Array.from({ length: 30 }, () => other('POST', '/api/webhooks', {
    body: { name: 'x', url: URL, events: ['*'] },
  })));
  assert.equal(answers.filter((answer) => answer.status === 201).length, 20);
  for (const answer of answers.filter((one) => one.status !== 201)) refused(answer, 409, 'WEBHOOK_LIMIT_REACHED');
  const [first] = good(await other('GET', '/api/webhooks', { query: { per_page: '1' } }));
  await other('DELETE', '/api/webhooks/{id}', { id: first.id });
  await makeWebhook(other, URL);
});

test('the list is filtered and paged, and the catalogue is told', async () => {
  const paused = await make();
  await as('PATCH', '/api/webhooks/{id}', { id: paused.id, body: { status: 'paused' } });
  const found = good(await as('GET', '/api/webhooks', { query: { status: 'paused', order: 'asc' } }));
  assert.ok(found.some((webhook) => webhook.id === paused.id) && found.every((webhook) => webhook.status === 'paused'));
  const page = await as('GET', '/api/webhooks', { query: { per_page: '1', page: '2' } });
  assert.equal(page.body.meta.per_page, 1);
  refused(await as('GET', '/api/webhooks', { query: { status: 'x' } }), 400, 'INVALID_QUERY');
  const events = good(await as('GET', '/api/webhooks/events'));
  assert.ok(events.some((event) => event.name === 'license.validated' && event.opt_in));
  for (const name of ['license.created', 'license.renewed', 'license.revoked', 'license.collision', 'webhook.test']) {
    assert.ok(events.some((event) => event.name === name && !event.opt_in), name);
  }
});

test('only who may write webhooks makes them', async () => {
  const receiver = await startReceiver();
  const body = { name: 'x', url: receiver.url, events: ['*'] };
  for (const role of ['manager', 'operator', 'client', 'viewer']) {
    refused(await ours.as[role]('POST', '/api/webhooks', { body }), 403, 'FORBIDDEN');
    refused(await ours.as[role]('GET', '/api/webhooks'), 403, 'FORBIDDEN');
  }
  good(await ours.as.developer('POST', '/api/webhooks', { body }), 201);
  good(await ours.as.super_admin('POST', '/api/webhooks', { body: { ...body, organization_id: ours.id } }), 201);
  refusedFields(await ours.as.super_admin('POST', '/api/webhooks', {
    body: { ...body, organization_id: randomUUID() },
  }), 'organization_id');
  await receiver.close();
});
