// The worker is killed while it does AI tasks and batches: what was under way is taken up again, nothing is charged
// twice, nothing is stuck.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { closeMesh, openMesh, recordsOf, tenant, usedOf, wholeRecords } from './support/ai.mjs';
import { BATCH, batchEnded, ended, handIn, handInBatch, hurry, queued, resultsOf } from './support/tasks.mjs';

let stack;
before(async () => {
  stack = await openMesh();
});
beforeEach(() => stack.ai.clear());
after(() => closeMesh(stack));

/** A record that was lost with the worker is sent again by the license's object, after a minute and a half. */
const PATIENCE = 200_000;
const USAGE = { input: 10, output: 5 };
const items = (count) => Array.from({ length: count }, (_, n) => ({ prompt: `item ${n}` }));

/** Each task of a license has one record, and the license's counts are theirs. */
async function addsUp(home, count) {
  const records = await wholeRecords(stack, home.license.id, count, PATIENCE);
  assert.equal(new Set(records.map(({ task }) => task)).size, count);
  assert.ok(records.every(({ counts, cost_micro: cost }) => counts === 1 && cost === 20), JSON.stringify(records));
  assert.deepEqual(await usedOf(stack, home.license.id), { requests: count, cost_micro: 20 * count });
}

test('killed in the middle of a batch, three times', async () => {
  const home = await tenant(stack, { limits: { max_batch_size: 100 } });
  const as = home.as.developer;
  stack.ai.on({}, { text: 'ok', delay: 250, usage: USAGE });
  const batch = await handInBatch(as, { items: items(60) });
  for (const seen of [4, 20, 35]) {
    await eventually(async () => stack.ai.calls.length >= seen, 60_000);
    await stack.restart({ kill: 'SIGKILL' });
    await hurry(stack, 'lease IS NOT NULL');
  }
  const done = await batchEnded(as, batch, 120_000);
  assert.deepEqual([done.status, done.completed_tasks, done.failed_tasks], ['completed', 60, 0]);
  assert.deepEqual((await resultsOf(as, batch)).map((line) => [line.batch_index, line.output_text]), items(60).map((_, n) => [n, 'ok']));
  assert.deepEqual(await queued(stack), []);
  await addsUp(home, 60);
});

test('killed in the middle of calls, of streams\' neighbours too, and of the writing of what came', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  stack.ai.on({}, { text: 'ok', delay: 400, usage: USAGE });
  const tasks = [];
  for (const moment of [100, 390, 420, 480]) {
    const from = stack.ai.calls.length;
    tasks.push(await handIn(as, { prompt: `killed at ${moment}` }));
    await eventually(async () => stack.ai.calls.length > from);
    await new Promise((resolve) => setTimeout(resolve, moment));
    await stack.restart({ kill: 'SIGKILL' });
    await hurry(stack, 'lease IS NOT NULL');
  }
  for (const task of tasks) assert.equal((await ended(as, task)).status, 'completed');
  await addsUp(home, tasks.length);
});

test('killed while a batch is cancelled: it is cancelled or it is not, and can be again', async () => {
  const home = await tenant(stack, { limits: { max_batch_size: 5_000, max_concurrent_tasks: 2 } });
  const as = home.as.developer;
  stack.ai.on({}, { text: 'ok', delay: 200, usage: USAGE });
  const batch = await handInBatch(as, { items: items(4_000), max_tokens: 5 });
  await eventually(async () => stack.ai.calls.length >= 2);
  const cancelling = as('DELETE', BATCH, { id: batch.id }).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 150));
  await stack.restart({ kill: 'SIGKILL' });
  await cancelling;
  const { cancelled_tasks: first } = good(await as('GET', BATCH, { id: batch.id }));
  assert.ok(first === 0 || first > 3_900, String(first));
  good(await as('DELETE', BATCH, { id: batch.id }), 204);
  await hurry(stack, 'lease IS NOT NULL');
  const done = await batchEnded(as, batch, 60_000);
  assert.equal(done.completed_tasks + done.cancelled_tasks + done.failed_tasks, 4_000);
  await eventually(async () => (await queued(stack)).length === 0);
  const records = await recordsOf(stack, home.license.id);
  assert.equal(new Set(records.map(({ id }) => id)).size, records.length);
});
