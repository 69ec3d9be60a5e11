// Batches of AI tasks: within what the plan allows, with progress, all or none, and nobody starves.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { eventually, good, refused, refusedFields } from './support/api.mjs';
import { closeMesh, openMesh, tenant, usedOf } from './support/ai.mjs';
import { BATCH, BATCHES, TASK, TASKS, batchEnded, ended, handIn, handInBatch, queued, resultsOf, toldOf } from './support/tasks.mjs';
import { auditOf } from './support/world.mjs';

let stack;
before(async () => {
  stack = await openMesh();
});
beforeEach(() => stack.ai.clear());
after(() => closeMesh(stack));

const items = (count, make = (n) => ({ prompt: `item ${n}` })) => Array.from({ length: count }, (_, n) => make(n));
const own = (limits = {}) => tenant(stack, { limits: { max_batch_size: 20_000, ...limits } });

test('a batch is done in its order, with its progress, and told of once', async () => {
  const home = await own();
  const as = home.as.developer;
  const batch = await handInBatch(as, { name: 'First', items: items(12, (n) => ({ prompt: `item ${n}`, metadata: { n } })), max_tokens: 50, metadata: { a: 1 } });
  assert.deepEqual([batch.status, batch.total_tasks, batch.progress, batch.metadata], ['pending', 12, 0, { a: 1 }]);
  const done = await batchEnded(as, batch);
  assert.deepEqual([done.status, done.completed_tasks, done.failed_tasks, done.cancelled_tasks, done.progress], ['completed', 12, 0, 0, 100]);
  const lines = await resultsOf(as, batch);
  assert.deepEqual(lines.map((line) => [line.batch_index, line.output_text, line.metadata]),
    items(12).map((_, n) => [n, `You said: item ${n}`, { n }]));
  const tasks = good(await as('GET', `${BATCH}/tasks`, { id: batch.id, query: { per_page: 5 } }));
  assert.deepEqual(tasks.map((task) => task.batch_index), [0, 1, 2, 3, 4]);
  assert.deepEqual(good(await as('GET', TASKS, { query: { batch_id: batch.id } })).length, 12);
  assert.ok(stack.ai.calls.every(({ body }) => body.max_completion_tokens === 50));
  assert.deepEqual((await toldOf(stack, home.id)).map(({ topic, payload }) => [topic, payload.batch.completed_tasks]), [['ai.batch.completed', 12]]);
  assert.deepEqual((await auditOf(stack, batch.id)).map(({ event }) => event), ['ai.batch.created']);
  await eventually(async () => (await usedOf(stack, home.license.id)).requests === 12);
  assert.deepEqual(good(await as('GET', BATCHES)).map(({ id }) => id), [batch.id]);
});

test('a stored prompt for all, with values in common and each one\'s own; each is told of where that is wanted', async () => {
  const home = await own();
  const as = home.as.developer;
  const prompt = good(await as('POST', '/api/ai/prompts', { body: {
    slug: 'batch', name: 'Batch', category: 'test', system_prompt: 'In {{language}}.', user_prompt_template: '{{input_text}}',
  } }), 201);
  const batch = await handInBatch(as, {
    prompt_slug: 'batch', variables: { language: 'Spanish' }, notify_each: true,
    items: [{ input_text: 'one' }, { input_text: 'two', variables: { language: 'French' } }],
  });
  assert.equal(batch.prompt_id, prompt.id);
  await batchEnded(as, batch);
  const asked = stack.ai.calls.map(({ body }) => body.messages.map(({ content }) => content)).sort();
  assert.deepEqual(asked, [['In French.', 'two'], ['In Spanish.', 'one']]);
  const told = (await toldOf(stack, home.id)).map(({ topic }) => topic).sort();
  assert.deepEqual(told, ['ai.batch.completed', 'ai.task.completed', 'ai.task.completed']);
});

test('what cannot be asked is named with its place, and nothing is taken', async () => {
  const home = await own({ max_batch_size: 3 });
  const as = home.as.developer;
  const post = (body) => as('POST', BATCHES, { body });
  refusedFields(await post({ items: items(4) }), 'items');
  refusedFields(await post({ items: [] }), 'items');
  refusedFields(await post({ items: [{ prompt: 'x' }, {}] }), 'items[1].prompt');
  refusedFields(await post({ items: [{ prompt: 'x' }, { messages: [] }] }), 'items[1].messages');
  refusedFields(await post({ items: [{ prompt: 'x', variables: { a: 1 } }] }), 'items[0].variables');
  refusedFields(await post({ items: [{ prompt: 'x' }], temperature: 3 }), 'temperature');
  refusedFields(await post({ items: [{ prompt: 'x' }], provider: 'nobody' }), 'provider');
  refused(await post({ items: [{ prompt: 'x' }], model: 'nobody' }), 404, 'MODEL_NOT_FOUND');
  const long = refused(await post({ items: [{ prompt: 'x' }, { prompt: '.'.repeat(199_000) }], max_tokens: 5_000 }), 422, 'CONTEXT_LENGTH_EXCEEDED');
  assert.deepEqual(Object.keys(long.fields), ['items[1].messages']);
  assert.ok(long.counted > 99_000 && long.most === 95_000 && long.context_window === 100_000, JSON.stringify(long));
  refused(await post({ items: [{ prompt: 'x', surprise: 1 }] }), 400, 'INVALID_BODY');
  // Refused while it is still sent: the connection may break off before the answer is read.
  const large = await post({ items: items(2, () => ({ prompt: 'x'.repeat(5_000_000) })) }).catch(() => null);
  if (large) refused(large, 413, 'BODY_TOO_LARGE');
  assert.deepEqual(good(await as('GET', BATCHES)), []);
  assert.deepEqual(await queued(stack, 'organization_id = $1', [home.id]), []);
});

test('failed ones are done again, and the batch with them', async () => {
  const home = await own();
  const as = home.as.developer;
  stack.ai.on({}, ({ body }) => (body.messages.at(-1).content.endsWith('1') ? { status: 400 } : { text: 'ok' }));
  const batch = await handInBatch(as, { items: items(3) });
  const done = await batchEnded(as, batch);
  assert.deepEqual([done.status, done.completed_tasks, done.failed_tasks], ['completed', 2, 1]);
  stack.ai.clear();
  const again = good(await as('POST', `${BATCH}/retry`, { id: batch.id, body: {} }), 202);
  assert.deepEqual([again.status, again.failed_tasks, again.completed_at], ['processing', 0, null]);
  assert.equal((await batchEnded(as, batch)).completed_tasks, 3);
});

test('cancelled: what has not ended is not done', async () => {
  const home = await own({ max_concurrent_tasks: 1 });
  const as = home.as.developer;
  stack.ai.on({}, { text: 'ok', delay: 200 });
  const batch = await handInBatch(as, { items: items(50) });
  await eventually(async () => stack.ai.calls.length >= 2);
  good(await as('DELETE', BATCH, { id: batch.id }), 204);
  const done = await batchEnded(as, batch);
  assert.equal(done.completed_tasks + done.cancelled_tasks, 50);
  assert.ok(done.cancelled_tasks >= 40);
  await eventually(async () => (await queued(stack, 'batch_id = $1', [batch.id])).length === 0);
  const { length } = stack.ai.calls;
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(stack.ai.calls.length, length);
  good(await as('DELETE', BATCH, { id: batch.id }), 204);
  assert.equal((await toldOf(stack, home.id)).length, 1);
});

test('a batch starves neither its tenant\'s single tasks nor another tenant', async () => {
  const [one, two] = [await own({ max_concurrent_tasks: 4 }), await own({ max_concurrent_tasks: 4 })];
  stack.ai.on({}, { text: 'ok', delay: 60 });
  const batch = await handInBatch(one.as.developer, { items: items(120) });
  await eventually(async () => stack.ai.calls.length >= 5);
  const before = stack.ai.calls.length;
  const single = await handIn(one.as.developer, { prompt: 'single' });
  const other = await handInBatch(two.as.developer, { items: items(10, (n) => ({ prompt: `other ${n}` })) });
  await Promise.all([ended(one.as.developer, single), batchEnded(two.as.developer, other)]);
  const asked = stack.ai.calls.slice(before).map(({ body }) => body.messages[0].content);
  assert.ok(asked.indexOf('single') <= 15, `the single task came ${asked.indexOf('single')}th`);
  const last = asked.findLastIndex((text) => text.startsWith('other'));
  assert.ok(last <= 50, `the other tenant's last came ${last}th`);
  const now = good(await one.as.developer('GET', BATCH, { id: batch.id }));
  assert.ok(now.completed_tasks < 120, 'the batch is still under way');
  assert.ok(now.status === 'processing' && now.started_at);
  good(await one.as.developer('DELETE', BATCH, { id: batch.id }), 204);
});

test('ten thousand are taken in one call, and taken up a hundred at a time', async () => {
  const home = await own();
  const as = home.as.developer;
  stack.ai.on({}, { text: 'ok', delay: 300 });
  // What PostgreSQL knows of the tables is from before: a plan that rests on it would compare everything with everything.
  await stack.pg.query('ANALYZE processed_tasks, ai_task_queue');
  const batch = await handInBatch(as, { items: items(10_000), max_tokens: 5 });
  assert.equal(batch.total_tasks, 10_000);
  const { rows } = await stack.pg.query(
    'SELECT count(*)::int, count(DISTINCT id)::int AS ids, max(batch_index)::int AS last FROM processed_tasks WHERE batch_id = $1', [batch.id]);
  assert.deepEqual(rows[0], { count: 10_000, ids: 10_000, last: 9_999 });
  // While they wait, a task of somebody else is done.
  const other = await own();
  assert.equal((await ended(other.as.developer, await handIn(other.as.developer, { prompt: 'now' }))).status, 'completed');
  good(await as('DELETE', BATCH, { id: batch.id }), 204);
  const done = await batchEnded(as, batch);
  assert.equal(done.completed_tasks + done.cancelled_tasks + done.failed_tasks, 10_000);
  refused(await as('GET', `${TASK}/result`, { id: batch.id }), 404, 'TASK_NOT_FOUND');
});
