// One record of each call, however often its message comes and whoever dies on the way.

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { good } from './support/api.mjs';
import { addModel, eventuallyHolds, openMesh, recordsOf, says, tenant, usedOf, wholeRecords } from './support/ai.mjs';
import { createSuperAdmin, insert, signedIn } from './support/world.mjs';

let stack;
let boss;
before(async () => {
  stack = await openMesh();
  boss = await signedIn(stack, await createSuperAdmin(stack));
});
beforeEach(() => stack.ai.clear());
after(async () => {
  assert.deepEqual(stack.ai.problems, []);
  await stack.stop();
  await stack.ai.close();
});

const chat = (as, body = {}) => as('POST', '/api/ai/chat', { body: { messages: says('x'), model: 'model-a', ...body } });

/** A UUID of version 7 of a moment. */
function idAt(at) {
  const hex = at.toString(16).padStart(12, '0');
  const rest = randomUUID().slice(15);
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${rest}`;
}

/** A record as the worker sends it. */
function record(home, at, more = {}) {
  return {
    id: idAt(at), license_id: home.license.id, organization_id: home.id, user_id: home.users.admin, kind: 'chat', request_id: 'r',
    started_at: at,
    ended: { at: at + 50, completed: true, counts: true, tokens_input: 10, tokens_output: 5, cost_micro: 20 },
    more: { input_text: 'asked', output_raw: 'answered', retries: 0, ai_ms: 40, metadata: {} },
    ...more,
  };
}

/** Puts a message into the queue of records, as an operator does with one that was lost. */
async function deliver(message) {
  const id = randomUUID();
  const body = JSON.stringify({ ...message, note: id });
  await insert(stack, 'dead_letters', {
    id, queue: 'celaest-ai-records', body, body_hash: createHash('sha256').update(body).digest('hex'), reason: 'Test', queued_at: new Date(),
  });
  good(await boss('POST', '/api/system/dead-letters/{id}/replay', { id, body: {} }), 202);
}

test('a message that comes three times is one record', async () => {
  const home = await tenant(stack);
  const message = record(home, Date.now());
  for (let time = 0; time < 3; time += 1) await deliver(message);
  const [row] = await wholeRecords(stack, home.license.id, 1);
  assert.deepEqual([row.id, row.task, row.counts, row.cost_micro], [message.id, message.id, 1, 20]);
  assert.deepEqual(await usedOf(stack, home.license.id), { requests: 1, cost_micro: 20 });
  // The object, which had heard nothing of it, counts it too.
  assert.equal(good(await chat(home.as.admin)).requests_left, 9_998);
});

test('the object\'s own record and the worker\'s are one, with what the worker knows', async () => {
  const home = await tenant(stack);
  const { more, ...own } = record(home, Date.now());
  await deliver(own);
  await wholeRecords(stack, home.license.id, 1);
  await deliver({ ...own, more });
  await eventuallyHolds(async () => assert.equal((await recordsOf(stack, home.license.id))[0].output_raw, 'answered'));
  const [row] = await wholeRecords(stack, home.license.id, 1);
  assert.equal(row.input_text, 'asked');
  assert.deepEqual(await usedOf(stack, home.license.id), { requests: 1, cost_micro: 20 });
});

test('a late record counts where it belongs, and a new period begins with nothing', async () => {
  const day = 86_400_000;
  const now = Date.now();
  const home = await tenant(stack, {
    license: {
      starts_at: new Date(now - 45 * day), current_period_start: new Date(now - 45 * day), current_period_end: new Date(now - 14 * day),
      ai_requests_used: 7, ai_cost_used: '0.5',
    },
  });
  // What comes now is counted in a period of its own, though no job has closed the old one yet.
  await deliver(record(home, now));
  await wholeRecords(stack, home.license.id, 1);
  assert.deepEqual(await usedOf(stack, home.license.id), { requests: 1, cost_micro: 20 });
  const closed = async () => (await stack.pg.query(
    'SELECT ai_requests_count::int AS requests FROM license_usage_log WHERE license_id = $1 AND call_id IS NULL ORDER BY period_start', [home.license.id])).rows;
  assert.deepEqual(await closed(), [{ requests: 7 }]);
  await deliver(record(home, now - 20 * day));
  await eventuallyHolds(async () => assert.deepEqual(await closed(), [{ requests: 8 }]));
  assert.deepEqual(await usedOf(stack, home.license.id), { requests: 1, cost_micro: 20 });
  // And to the owner it shows no calls as periods.
  const usage = good(await home.as.admin('GET', '/api/licenses/{id}/usage', { id: home.license.id }));
  assert.equal(usage.history.length, 1);
  assert.deepEqual(
    [usage.current.ai_requests_count, usage.current.tokens_input, usage.current.tokens_output, usage.current.calculated_cost], [1, 10, 5, 0.00002]);
  assert.deepEqual([usage.history[0].ai_requests_count, usage.history[0].tokens_input], [8, 10]);
});

test('a worker killed behind its answers, and while it waits for one: each call is one record', async () => {
  const home = await tenant(stack);
  const answers = await Promise.all(Array.from({ length: 6 }, () => chat(home.as.admin)));
  const ids = answers.map((answer) => good(answer).id);
  stack.ai.on({}, { hang: true });
  const lost = chat(home.as.admin, { deadline_ms: 500 }).catch(() => undefined);
  await eventuallyHolds(() => assert.equal(stack.ai.calls.length, 7));
  await stack.restart({ kill: 'SIGKILL' });
  await lost;
  stack.ai.clear();
  const later = good(await chat(home.as.admin));
  const rows = await wholeRecords(stack, home.license.id, 8, 40_000);
  const unknown = rows.filter((row) => row.error_code === 'OUTCOME_UNKNOWN');
  assert.equal(unknown.length, 1, JSON.stringify(rows.map((row) => row.error_code)));
  assert.deepEqual([unknown[0].status, unknown[0].counts, unknown[0].cost_micro, unknown[0].task_cost_micro], ['failed', 1, null, null]);
  const known = rows.filter((row) => row.error_code === null).map((row) => row.id).sort();
  assert.deepEqual(known, [...ids, later.id].sort());
  assert.ok(rows.every((row) => row.task === row.id));
  assert.equal((await usedOf(stack, home.license.id)).requests, 8);
});

test('a task that failed at a provider has its reason, and one that reached nobody leaves nothing', async () => {
  const home = await tenant(stack);
  stack.ai.on({}, { status: 500 });
  await chat(home.as.admin, { fallback: false });
  const [row] = await wholeRecords(stack, home.license.id, 1);
  assert.deepEqual([row.status, row.error_code, row.counts, row.cost_micro], ['failed', 'PROVIDERS_FAILED', 0, null]);
  await chat(home.as.admin, { model: 'nobody' });
  await wholeRecords(stack, home.license.id, 1);
});

test('tokens that nobody can have used are not known, and hold up no record', async () => {
  for (const [usage, price] of [
    [{ input: 3_000_000_000, output: 1 }, 'unknown'], [{ input: 1, output: 2 ** 62 }, 'unknown'], [{ input: 100_000_000, output: 100_000_000 }, 'known'],
  ]) {
    const home = await tenant(stack);
    stack.ai.on({}, { usage }, { times: 1 });
    const ask = () => home.as.developer('POST', '/api/ai/chat', { body: { messages: says('x') } });
    const answers = await Promise.all([ask(), ask(), ask()]);
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
    const records = await wholeRecords(stack, home.license.id, 3);
    assert.equal(records.filter(({ cost_micro: cost }) => cost === null).length, price === 'unknown' ? 1 : 0);
    assert.equal((await usedOf(stack, home.license.id)).requests, 3);
  }
});

test('a call that costs more than can be written down is written down as the most', async () => {
  const home = await tenant(stack);
  await addModel(stack, 'openai', 'dear', { cost_per_1k_input: 9_999, cost_per_1k_output: 9_999 });
  stack.ai.on({ model: 'dear' }, { usage: { input: 100_000, output: 100 } });
  await eventuallyHolds(async () => assert.equal(good(await chat(home.as.developer, { model: 'dear' })).cost_micro_usd, 9_999_999_999), 90_000, 1000);
  await eventuallyHolds(async () => {
    const { rows } = await stack.pg.query('SELECT cost_usd FROM processed_tasks WHERE license_id = $1', [home.license.id]);
    assert.equal(rows[0]?.cost_usd, '9999.999999');
  });
});
