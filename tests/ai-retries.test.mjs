// AI tasks and batches that are done again: looked at as when they are handed in, and beside everybody else.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { closeMesh, openMesh, says, tenant, wholeRecords } from './support/ai.mjs';
import { BATCH, BATCHES, TASK, batchEnded, ended, handIn, handInBatch, queued } from './support/tasks.mjs';
import { withApiKey } from './support/world.mjs';

let stack;
before(async () => {
  stack = await openMesh();
});
beforeEach(() => stack.ai.clear());
after(() => closeMesh(stack));

const retry = (as, { id }, headers) => as('POST', `${TASK}/retry`, { id, body: {}, headers });
const retryBatch = (as, { id }, headers) => as('POST', `${BATCH}/retry`, { id, body: {}, headers });
const many = (count, call) => Promise.all(Array.from({ length: count }, (_, n) => call(n)));

/** A task and a batch of a home that failed, and nothing used. */
async function failed(home) {
  const as = home.as.developer;
  stack.ai.on({}, { status: 400 });
  const task = await handIn(as, { prompt: 'x', model: 'model-a' });
  const batch = await handInBatch(as, { items: [{ prompt: 'y' }, { prompt: 'z' }], model: 'model-a' });
  await Promise.all([ended(as, task), batchEnded(as, batch)]);
  stack.ai.clear();
  return [task, batch];
}

test('what could not be asked now is refused, as when it is handed in', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  const limits = async (custom_limits) => good(await home.as.admin('PATCH', '/api/licenses/{id}', { id: home.license.id, body: { custom_limits } }));
  const [task, batch] = await failed(home);
  await limits({ max_ai_requests_per_month: 1 });
  good(await as('POST', '/api/ai/chat', { body: { messages: says('x'), model: 'model-a' } }));
  await wholeRecords(stack, home.license.id, 1);
  const both = () => Promise.all([retry(as, task), retryBatch(as, batch)]);
  for (const answer of await both()) {
    assert.equal(refused(answer, 429, 'QUOTA_EXCEEDED').limit, 'max_ai_requests_per_month');
    assert.ok(Number(answer.headers.get('retry-after')) > 1);
  }
  await limits({ max_ai_cost_usd_per_month: 0 });
  for (const answer of await both()) assert.equal(refused(answer, 429, 'QUOTA_EXCEEDED').limit, 'max_ai_cost_usd_per_month');
  await limits({ max_concurrent_tasks: 0 });
  for (const answer of await both()) assert.equal(refused(answer, 429, 'CONCURRENCY_LIMIT').most, 0);
  await limits({});
  const key = await withApiKey(stack, home.users.developer, home.id, { max_ai_cost_usd_per_month: '0' });
  refused(await retry(key, task), 429, 'QUOTA_EXCEEDED');
  refused(await retryBatch(key, batch), 429, 'QUOTA_EXCEEDED');
  good(await home.as.admin('POST', '/api/licenses/{id}/revoke', { id: home.license.id, body: {} }));
  for (const answer of await both()) refused(answer, 403, 'LICENSE_INACTIVE');
  good(await home.as.admin('POST', '/api/licenses/{id}/reactivate', { id: home.license.id, body: {} }));
  await stack.pg.query(`UPDATE processed_tasks SET request = request || '{"model": "nobody"}' WHERE id = $1`, [task.id]);
  refused(await retry(as, task), 404, 'MODEL_NOT_FOUND');
  await stack.pg.query("UPDATE processed_tasks SET request = request - 'model' WHERE id = $1", [task.id]);
  assert.deepEqual(await queued(stack, 'organization_id = $1', [home.id]), []);
  const was = good(await as('GET', BATCH, { id: batch.id }));
  assert.deepEqual([was.status, was.failed_tasks], ['failed', 2]);

  // What was taken once is given again, whatever is left by then.
  const [one, two] = [{ 'idempotency-key': randomUUID() }, { 'idempotency-key': randomUUID() }];
  const taken = [await retry(as, task, one), await retryBatch(as, batch, two)];
  taken.forEach((answer) => good(answer, 202));
  assert.equal((await ended(as, task)).status, 'completed');
  assert.equal((await batchEnded(as, batch)).completed_tasks, 2);
  await limits({ max_ai_requests_per_month: 1 });
  assert.deepEqual([(await retry(as, task, one)).text, (await retryBatch(as, batch, two)).text], taken.map(({ text }) => text));
  // Nor is anybody let in where nothing is to be done again.
  assert.equal(good(await retryBatch(as, batch), 202).completed_tasks, 2);
  refused(await retry(as, task), 409, 'TASK_STATUS_CONFLICT');
});

test('more than one statement puts back, beside its tasks one by one: nobody waits for each other in a circle', async () => {
  const home = await tenant(stack, { limits: { max_batch_size: 10_000 } });
  const as = home.as.developer;
  // Nobody takes them up.
  await stack.pg.query("INSERT INTO ai_task_turns (license_id, organization_id, served_at, held_until) VALUES ($1, $2, now(), now() + interval '1 hour')", [home.license.id, home.id]);
  const batch = await handInBatch(as, { items: Array.from({ length: 2_200 }, (_, n) => ({ prompt: `n ${n}` })) });
  const { rows } = await stack.pg.query('SELECT id FROM processed_tasks WHERE batch_id = $1 ORDER BY id DESC LIMIT 1000', [batch.id]);
  for (let round = 0; round < 2; round += 1) {
    good(await as('DELETE', BATCH, { id: batch.id }), 204);
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const [whole, single] = await Promise.all([
      many(2, () => retryBatch(as, batch)),
      many(30, async (n) => {
        await pause(n * 20);
        return retry(as, rows[n * 30]);
      }),
    ]);
    assert.deepEqual(whole.map(({ status }) => status), [202, 202]);
    assert.ok(single.every(({ status }) => status === 202 || status === 409), JSON.stringify(single.map(({ status }) => status)));
    const now = good(await as('GET', BATCH, { id: batch.id }));
    assert.deepEqual([now.status, now.failed_tasks, now.cancelled_tasks, now.completed_at], ['processing', 0, 0, null]);
    assert.equal((await queued(stack, 'batch_id = $1', [batch.id])).length, 2_200);
  }
  good(await as('DELETE', BATCH, { id: batch.id }), 204);
  assert.equal(good(await as('GET', BATCHES, { query: { status: 'cancelled' } })).length, 1);
});
