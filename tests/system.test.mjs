// Dead letters and the state of the system: nothing that a queue took is lost, and an operator sees it.

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { eventually, good, read, refused } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { auditOf, createOrganization, insert, rowOf } from './support/world.mjs';

const OUTBOX = '* * * * *';

const stack = await sharedStack();
let home;
let operator;

before(async () => {
  home = await createOrganization(stack, { roles: ['super_admin', 'admin'] });
  operator = home.as.super_admin;
});

/** Puts a message among the dead letters, as the consumer of a dead-letter queue does. */
async function dead(queue, message, more = {}) {
  const [id, body] = [randomUUID(), JSON.stringify(message)];
  await insert(stack, 'dead_letters', {
    id, queue, body, body_hash: createHash('sha256').update(body).digest('hex'), reason: 'test', queued_at: new Date(), ...more,
  });
  return id;
}

/** A message of the outbox that was sent often enough. */
async function hopeless(more = {}) {
  const id = randomUUID();
  await insert(stack, 'outbox_messages', {
    id, organization_id: home.id, topic: 'license.updated', payload: { license: { id: randomUUID() } },
    available_at: new Date(Date.now() - 1000), sent_at: new Date(), attempts: 30, ...more,
  });
  return id;
}

const letterOf = (text) => eventually(async () => (
  await stack.pg.query('SELECT * FROM dead_letters WHERE body LIKE $1', [`%${text}%`])).rows[0]);
const call = (method, path, args) => operator(method, `/api/system/dead-letters${path}`, args);

describe('dead letters', () => {
  test('are listed, read and sent again, and the consumer deals with them', async () => {
    const [event, name] = [randomUUID(), `lost-${randomUUID()}`];
    const id = await dead('celaest-telemetry', {
      from: { organization_id: home.id, user_id: home.users.admin, ip_address: '192.0.2.1', user_agent: null },
      events: [{ id: event, created_at: new Date().toISOString(), event_type: 'page', event_name: name }],
    });
    const listed = good(await call('GET', '', { query: { queue: 'celaest-telemetry', status: 'waiting' } }));
    const row = listed.find((one) => one.id === id);
    assert.deepEqual([row.reason, row.deaths, row.replayed_at, 'body' in row], ['test', 1, null, false]);
    const opened = good(await call('GET', '/{id}', { id }));
    assert.ok(opened.body.includes(name));
    assert.deepEqual(opened.letter, row);
    const args = { id, body: {}, headers: { 'idempotency-key': randomUUID() } };
    for (let time = 0; time < 2; time += 1) {
      const replayed = good(await call('POST', '/{id}/replay', args), 202);
      assert.deepEqual([replayed.status, replayed.replayed_by], ['replayed', home.users.super_admin]);
    }
    await eventually(async () => (await stack.pg.query('SELECT FROM telemetry_events WHERE event_name = $1', [name])).rowCount === 1);
    good(await call('POST', '/{id}/replay', { id, body: {} }), 202);
    const { rowCount } = await stack.pg.query('SELECT FROM telemetry_events WHERE event_name = $1', [name]);
    assert.equal(rowCount, 1);
    assert.ok((await auditOf(stack, id)).some(({ event: kind, organization_id: of }) => kind === 'dead_letter.replayed' && of === null));
  });

  test('are dropped for good, and the log knows', async () => {
    const id = await dead('celaest-emails', { id: randomUUID() });
    good(await call('DELETE', '/{id}', { id }), 204);
    refused(await call('GET', '/{id}', { id }), 404, 'NOT_FOUND');
    assert.deepEqual((await auditOf(stack, id)).map(({ event }) => event), ['dead_letter.dropped']);
  });

  test('are only read and dropped where no queue would take them', async () => {
    const strange = await dead('celaest-nobody', { id: randomUUID() });
    const large = await dead('celaest-events', { text: 'x'.repeat(200_000) });
    for (const [id, problem] of [[strange, 'no queue has this name'], [large, 'it is larger than a queue takes']]) {
      const answer = await call('POST', '/{id}/replay', { id, body: {}, headers: { 'accept-language': 'en' } });
      assert.deepEqual(refused(answer, 409, 'DEAD_LETTER_STUCK'), { problem });
      const opened = good(await call('GET', '/{id}', { id }));
      assert.equal(opened.letter.status, 'waiting');
      assert.equal(opened.letter.bytes, opened.body.length);
      good(await call('DELETE', '/{id}', { id }), 204);
    }
  });

  test('are counted where readiness is asked for', async () => {
    const ready = async () => (await read(await fetch(`${stack.url}/health/ready`))).data;
    const before = (await ready()).dead_letters;
    const id = await dead('celaest-deliveries', { note: randomUUID() });
    assert.equal((await ready()).dead_letters, before + 1);
    good(await call('DELETE', '/{id}', { id }), 204);
    assert.equal((await ready()).dead_letters, before);
  });

  test('are only an operator\'s of the whole system', async () => {
    refused(await home.as.admin('GET', '/api/system/dead-letters'), 403, 'FORBIDDEN');
    refused(await home.as.admin('GET', '/api/system/status'), 403, 'FORBIDDEN');
  });
});

describe('the outbox', () => {
  test('has an end: what nobody deals with is a dead letter, waits there, and can be sent again', async () => {
    const id = await hopeless();
    await stack.triggerCron(OUTBOX);
    const letter = await letterOf(id);
    assert.match(letter.reason, /30 times/);
    assert.equal((await rowOf(stack, 'outbox_messages', id)).processed_at, null);
    await stack.triggerCron(OUTBOX);
    assert.equal((await stack.pg.query('SELECT FROM dead_letters WHERE body LIKE $1', [`%${id}%`])).rowCount, 1);
    good(await call('POST', '/{id}/replay', { id: letter.id, body: {} }), 202);
    await eventually(async () => (await rowOf(stack, 'outbox_messages', id)).processed_at);
  });

  test('a letter that is dropped settles its row', async () => {
    const id = await hopeless();
    await stack.triggerCron(OUTBOX);
    const letter = await letterOf(id);
    good(await call('DELETE', '/{id}', { id: letter.id }), 204);
    assert.ok((await rowOf(stack, 'outbox_messages', id)).processed_at);
  });

  test('a message that is too large for the queue stops nobody and arrives', async () => {
    const large = await hopeless({ attempts: 0, sent_at: null, payload: { license: { id: randomUUID(), metadata: { text: 'x'.repeat(200_000) } } } });
    const small = await hopeless({ attempts: 0, sent_at: null });
    await stack.triggerCron(OUTBOX);
    for (const id of [large, small]) await eventually(async () => (await rowOf(stack, 'outbox_messages', id)).processed_at);
  });

  test('comes back within two minutes, then later and later', async () => {
    const pauses = [];
    for (const attempts of [0, 1, 2, 8]) {
      const id = await hopeless({ attempts, sent_at: null, topic: 'nobody.knows', organization_id: null });
      await stack.triggerCron(OUTBOX);
      const row = await eventually(async () => {
        const found = await rowOf(stack, 'outbox_messages', id);
        return found.sent_at && found;
      });
      assert.equal(row.attempts, attempts + 1);
      pauses.push(Math.round((row.available_at - row.sent_at) / 1000));
    }
    assert.deepEqual(pauses, [60, 120, 240, 3600]);
  });
});

test('an operator sees backlogs, dead letters, jobs and events', async () => {
  const id = await dead('celaest-validations', { note: randomUUID() });
  await insert(stack, 'system_events', { event_type: 'test.noted', source: 'test', message: 'Something happened' });
  await stack.triggerCron(OUTBOX);
  const status = await eventually(async () => {
    const found = good(await operator('GET', '/api/system/status'));
    return found.jobs.some((job) => job.name === 'outbox') && found;
  });
  assert.ok(status.outbox.waiting >= 0 && status.outbox.parked >= 0);
  assert.ok(status.dead_letters.some(({ queue, waiting }) => queue === 'celaest-validations' && waiting >= 1));
  assert.ok(status.events.some(({ event_type: type }) => type === 'test.noted'));
  const job = status.jobs.find(({ name }) => name === 'outbox');
  assert.ok(Date.parse(job.finished_at) >= Date.parse(job.started_at) && job.runs >= 1 && job.done !== null);
  good(await call('DELETE', '/{id}', { id }), 204);
});
