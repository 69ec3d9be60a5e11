// AI tasks when something goes wrong: messages that come twice or never, consumers that are killed in the middle of a
// call, several at once, and whoever cancels meanwhile. Nothing is done twice, nothing is charged twice, nothing is lost.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { closeMesh, openMesh, tenant, usedOf, wholeRecords } from './support/ai.mjs';
import { BATCH, TASK, batchEnded, ended, handIn, handInBatch, hurry, minute, queued, toldOf } from './support/tasks.mjs';

let stack;
before(async () => {
  stack = await openMesh({ keys: { openai: ['key-openai-1'], groq: ['key-groq-1'] }, models: [['openai', 'model-a'], ['groq', 'model-g']] });
});
beforeEach(() => stack.ai.clear());
after(() => closeMesh(stack));

const asked = (text) => stack.ai.calls.filter(({ body }) => body.messages[0].content === text).length;

/** A task that is done is as before it was taken up, but for its place in the queue. */
const undo = ({ id }) => stack.pg.query("UPDATE processed_tasks SET status = 'pending', completed_at = NULL WHERE id = $1", [id]);

/** Puts a task into the queue without a word to anybody. */
const queue = ({ id }) => stack.pg.query(`
  INSERT INTO ai_task_queue (task_id, task_created_at, organization_id, user_id, license_id, call_id)
  SELECT id, created_at, organization_id, user_id, license_id, uuid_generate_v4() FROM processed_tasks WHERE id = $1`, [id]);

test('however often it is called for, a task is asked once', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  stack.ai.on({}, { text: 'ok', delay: 400 });
  const tasks = await Promise.all(Array.from({ length: 6 }, (_, n) => handIn(as, { prompt: `often ${n}` })));
  // The sweep sends what was sent before, as if a queue had lost it; the job calls for what is due.
  await stack.pg.query("UPDATE outbox_messages SET processed_at = NULL, available_at = now() WHERE topic = 'ai.tasks.queued'");
  await Promise.all([minute(stack), minute(stack), minute(stack)]);
  await Promise.all(tasks.map((task) => ended(as, task)));
  await stack.pg.query("UPDATE outbox_messages SET processed_at = NULL, available_at = now() WHERE topic = 'ai.tasks.queued'");
  await minute(stack);
  for (let n = 0; n < 6; n += 1) assert.equal(asked(`often ${n}`), 1);
  await wholeRecords(stack, home.license.id, 6);
  assert.equal((await usedOf(stack, home.license.id)).requests, 6);
  assert.equal((await toldOf(stack, home.id)).length, 6);
});

test('a task that no message tells of is found by the job of the minute', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  const made = await ended(as, await handIn(as, { prompt: 'template' }));
  // As if the worker had died right after its commit, and the outbox with it.
  await undo(made);
  await queue(made);
  await minute(stack);
  assert.equal((await ended(as, made)).status, 'completed');
});

test('a task that somebody holds when its runner looks is found again', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  const made = await ended(as, await handIn(as, { prompt: 'held' }));
  await undo(made);
  const holder = await stack.pg.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT FROM processed_tasks WHERE id = $1 FOR UPDATE', [made.id]);
  await queue(made);
  await minute(stack);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal((await queued(stack, 'task_id = $1 AND lease IS NULL', [made.id])).length, 1);
  await holder.query('ROLLBACK');
  holder.release();
  assert.equal((await ended(as, made)).status, 'completed');
});

test('a consumer killed in the middle of its call: asked again by another, charged once', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  stack.ai.on({}, { hang: true }, { times: 1 });
  const task = await handIn(as, { prompt: 'killed' });
  await eventually(async () => asked('killed') === 1);
  await stack.restart({ kill: 'SIGKILL' });
  const [row] = await queued(stack, 'task_id = $1', [task.id]);
  assert.ok(row.lease && Date.parse(row.due_at) > Date.now(), 'nobody else may take it up yet');
  await minute(stack);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(asked('killed'), 1);
  await hurry(stack, 'task_id = $1', [task.id]);
  const done = await ended(as, task);
  assert.deepEqual([done.status, done.retry_count], ['completed', 1]);
  assert.equal(asked('killed'), 2);
  const [record] = await wholeRecords(stack, home.license.id, 1);
  assert.equal(record.task, task.id);
  assert.equal((await usedOf(stack, home.license.id)).requests, 1);
});

test('who waits for a provider that hangs holds up nobody', async () => {
  const [home, other] = [await tenant(stack), await tenant(stack)];
  stack.ai.on({}, ({ body }) => (body.messages[0].content.startsWith('hang') ? { hang: true } : { text: 'ok' }));
  const hung = await Promise.all(Array.from({ length: 7 }, (_, n) => handIn(home.as.developer, { prompt: `hang ${n}` })));
  await eventually(async () => (await queued(stack, 'organization_id = $1 AND lease IS NOT NULL', [home.id])).length === 7);
  for (const { as } of [home, other]) assert.equal((await ended(as.developer, await handIn(as.developer, { prompt: 'now' }))).status, 'completed');
  for (const { id } of hung) good(await home.as.developer('DELETE', TASK, { id }), 204);
});

test('one whose consumers die every time has failed, with its reason', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  stack.ai.on({}, { hang: true });
  const task = await handIn(as, { prompt: 'poison' });
  await eventually(async () => (await queued(stack, 'task_id = $1 AND lease IS NOT NULL', [task.id]))[0]);
  // Its last attempt is lost.
  await stack.pg.query('UPDATE ai_task_queue SET attempts = 4, due_at = now(), lease = uuid_generate_v4() WHERE task_id = $1', [task.id]);
  await minute(stack);
  const done = await ended(as, task);
  assert.deepEqual([done.status, done.error_code], ['failed', 'TASK_ABANDONED']);
  assert.deepEqual(await queued(stack, 'task_id = $1', [task.id]), []);
  assert.deepEqual((await toldOf(stack, home.id)).map(({ topic }) => topic), ['ai.task.failed']);
  stack.ai.clear();
  good(await as('POST', `${TASK}/retry`, { id: task.id, body: {} }), 202);
  assert.equal((await ended(as, task)).status, 'completed');
});

test('one that found no room for a day has failed, with its reason', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  stack.ai.on({}, { status: 500 });
  const task = await handIn(as, { prompt: 'old', model: 'model-g', fallback: false });
  await eventually(async () => (await queued(stack, 'task_id = $1 AND lease IS NULL AND attempts = 1', [task.id]))[0]);
  await stack.pg.query("UPDATE ai_task_queue SET queued_at = now() - interval '25 hours', due_at = now() WHERE task_id = $1", [task.id]);
  await minute(stack);
  assert.deepEqual((await ended(as, task)).error_code, 'TASK_EXPIRED');
});

test('what a consumer says that does not hold the task any more changes nothing', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  stack.ai.on({}, ({ body }, nth) => ({ text: `answer ${nth}`, delay: nth === 0 ? 1500 : 0 }));
  const task = await handIn(as, { prompt: 'slow' });
  await eventually(async () => (await queued(stack, 'task_id = $1 AND lease IS NOT NULL', [task.id]))[0]);
  // Its time is over before its answer is there, and another takes it up.
  await stack.pg.query('UPDATE ai_task_queue SET lease = uuid_generate_v4(), due_at = now() WHERE task_id = $1', [task.id]);
  await minute(stack);
  const done = await ended(as, task);
  assert.equal(done.status, 'completed');
  const first = good(await as('GET', `${TASK}/result`, { id: task.id })).output_text;
  await new Promise((resolve) => setTimeout(resolve, 1800));
  assert.equal(good(await as('GET', `${TASK}/result`, { id: task.id })).output_text, first);
  await wholeRecords(stack, home.license.id, 1);
  assert.equal((await toldOf(stack, home.id)).length, 1);
});

test('thirty at once cancel a task, have it done again, or both: each gets an answer, and it is done once', async () => {
  const home = await tenant(stack);
  const as = home.as.developer;
  const many = (count, call) => Promise.all(Array.from({ length: count }, call));
  const cancel = (task) => as('DELETE', TASK, { id: task.id });
  const retry = (task) => as('POST', `${TASK}/retry`, { id: task.id, body: {} });
  const statuses = (answers) => answers.map(({ status }) => status).sort();
  stack.ai.on({}, { status: 400 });
  const failed = await handIn(as, { prompt: 'thirty' });
  assert.equal((await ended(as, failed)).status, 'failed');
  stack.ai.clear();
  stack.ai.on({}, { text: 'ok', delay: 1_000 });
  assert.deepEqual(statuses(await many(30, () => retry(failed))), [202, ...Array(29).fill(409)]);
  assert.deepEqual(statuses(await many(30, () => cancel(failed))), Array(30).fill(204));
  await eventually(async () => (await queued(stack, 'task_id = $1', [failed.id])).length === 0);
  stack.ai.clear();
  stack.ai.on({}, { text: 'ok', delay: 20 });
  // Runners take it up, settle it and lose it meanwhile.
  for (let round = 0; round < 6; round += 1) {
    const answers = await many(30, (_, n) => (n % 2 ? cancel(failed) : retry(failed)));
    assert.ok(answers.every(({ status }) => [202, 204, 409].includes(status)), JSON.stringify(statuses(answers)));
  }
  await eventually(async () => (await queued(stack, 'task_id = $1', [failed.id])).length === 0);
  const last = await ended(as, failed);
  if (last.status === 'cancelled') good(await retry(failed), 202);
  assert.equal((await ended(as, failed)).status, 'completed');
  const { rows: [{ events }] } = await stack.pg.query("SELECT count(*)::int AS events FROM audit_logs WHERE resource_id = $1 AND event = 'ai.task.retried'", [failed.id]);
  assert.ok(events >= 2);
});

test('cancelling while answers come: each task is either cancelled or completed, and the batch adds up', async () => {
  const home = await tenant(stack, { limits: { max_batch_size: 100 } });
  const as = home.as.developer;
  stack.ai.on({}, { text: 'ok', delay: 30 });
  const batch = await handInBatch(as, { items: Array.from({ length: 40 }, (_, n) => ({ prompt: `race ${n}` })) });
  const tasks = good(await as('GET', `${BATCH}/tasks`, { id: batch.id, query: { per_page: 100 } }));
  const cancels = await Promise.all(tasks.map(({ id }) => as('DELETE', TASK, { id })));
  assert.ok(cancels.every(({ status }) => status === 204 || status === 409), JSON.stringify(cancels.map(({ status }) => status)));
  const done = await batchEnded(as, batch);
  const now = good(await as('GET', `${BATCH}/tasks`, { id: batch.id, query: { per_page: 100 } }));
  const count = (status) => now.filter((task) => task.status === status).length;
  assert.deepEqual([done.completed_tasks, done.cancelled_tasks, done.failed_tasks], [count('completed'), count('cancelled'), 0]);
  assert.equal(count('completed') + count('cancelled'), 40);
  assert.equal(count('cancelled'), cancels.filter(({ status }) => status === 204).length);
  await eventually(async () => (await queued(stack, 'batch_id = $1', [batch.id])).length === 0);
  assert.equal((await toldOf(stack, home.id)).length, 1);
});

