// 2,000 events to five receivers, of which one is dead, one slow and one answers 500 half of the time,
// while the worker is killed twice: every living receiver has every event, each under one id, each signed.
// Alone: npm test -- --only soak

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization, eventsOf, insertLicense } from './support/world.mjs';
import { deadUrl, makeWebhook, startReceiver, verified } from './support/receiver.mjs';

const EVENTS = 2_000;
const SWEEP = '* * * * *';

let stack;
let organization;
const receivers = {};

before(async () => {
  stack = await startStack();
  organization = await createOrganization(stack, { roles: ['admin'] });
  receivers.good = await startReceiver();
  receivers.other = await startReceiver(() => ({ status: 200, body: 'ok' }));
  receivers.slow = await startReceiver(() => ({ status: 200, delay: 60 }));
  // Every second answer.
  receivers.flaky = await startReceiver((_, earlier) => ({ status: earlier.length % 2 ? 200 : 500 }));
});

after(async () => {
  await Promise.all(Object.values(receivers).map((receiver) => receiver.close()));
  await stack.stop();
});

/** Events that the receiver has taken. */
const taken = (receiver) => [...receiver.byId.values()]
  .filter((requests) => requests.some((request) => request.answered < 300)).length;

/** As long after a crash as it takes the sweep to notice what the queue has lost. */
async function sweep() {
  await stack.pg.query(`UPDATE outbox_messages SET available_at = now() WHERE processed_at IS NULL`);
  await stack.triggerCron(SWEEP);
}

test('every living receiver has every event', { timeout: 280_000 }, async () => {
  const as = organization.as.admin;
  const license = await insertLicense(stack, organization.id);
  good(await as('PATCH', '/api/licenses/{id}', { id: license.id, body: { notes: 'soaked' } }));
  const [{ payload }] = await eventsOf(stack, license.id);
  // Told to nobody: there is no webhook yet.
  await eventually(async () => (await stack.pg.query('SELECT FROM outbox_messages WHERE processed_at IS NULL')).rowCount === 0);
  const secrets = {};
  for (const [name, receiver] of Object.entries(receivers)) {
    secrets[name] = (await makeWebhook(as, receiver.url, ['license.*'])).secret;
  }
  await makeWebhook(as, await deadUrl(), ['license.*']);
  const ids = Array.from({ length: EVENTS }, () => randomUUID());
  await stack.pg.query(
    `INSERT INTO outbox_messages (id, organization_id, topic, payload, available_at)
     SELECT id, $1, 'license.updated', jsonb_set($3, '{license,id}', to_jsonb(id::text)), now() - interval '1 minute'
     FROM unnest($2::uuid[]) AS id`, [organization.id, ids, payload]);
  await stack.triggerCron(SWEEP);
  for (const part of [0.2, 0.5]) {
    await eventually(() => taken(receivers.good) >= EVENTS * part, 120_000, 20);
    await stack.restart({ kill: 'SIGKILL' });
    await sweep();
  }
  await eventually(
    () => Object.values(receivers).every((receiver) => taken(receiver) === EVENTS), 200_000, 200);

  const expected = new Set(ids);
  for (const [name, receiver] of Object.entries(receivers)) {
    assert.deepEqual(new Set(receiver.byId.keys()), expected, name);
    for (const request of receiver.requests) {
      const said = verified(request, secrets[name]);
      assert.equal(said.data.license.id, request.id, name);
    }
  }
});
