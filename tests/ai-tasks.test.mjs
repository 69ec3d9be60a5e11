// AI tasks: handed in, done later, read, cancelled and retried; what they cost and how long they took.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { eventually, good, refused, refusedFields } from './support/api.mjs';
import { closeMesh, openMesh, says, tenant, usedOf, wholeRecords } from './support/ai.mjs';
import { TASK, TASKS, ended, handIn, hurry, queued, resultOf, toldOf } from './support/tasks.mjs';
import { auditOf, insertLicense, withApiKey } from './support/world.mjs';

let stack;
let home;
let as;
before(async () => {
  // A provider of its own for each way to fail: a key that failed rests, and others would wait for it.
  stack = await openMesh({
    keys: { openai: ['key-openai-1'], groq: ['key-groq-1'], deepseek: ['key-deepseek-1'], anthropic: ['key-anthropic-1'] },
    models: [['openai', 'model-a'], ['groq', 'model-g'], ['deepseek', 'model-d'], ['anthropic', 'model-n']],
  });
  home = await tenant(stack, { roles: ['admin', 'developer', 'client', 'viewer', 'operator'] });
  as = home.as.developer;
});
beforeEach(() => stack.ai.clear());
after(() => closeMesh(stack));

const ask = (body, call = as) => call('POST', TASKS, { body });

test('a task is taken at once, done later, charged once, and told of', async () => {
  const fresh = await tenant(stack);
  const call = fresh.as.developer;
  stack.ai.on({}, { text: 'Hello there', usage: { input: 1000, output: 500 }, delay: 300 });
  const task = await handIn(call, { prompt: 'Hello?', metadata: { mine: 7 }, temperature: 0.3 });
  assert.deepEqual([task.status, task.input_type, task.license_id, task.metadata], ['pending', 'task', fresh.license.id, { mine: 7 }]);
  refused(await call('GET', `${TASK}/result`, { id: task.id }), 409, 'TASK_NOT_FINISHED');
  const done = await ended(call, task);
  assert.deepEqual(
    [done.status, done.retry_count, done.tokens_input, done.tokens_output, done.tokens_total, done.cost_usd, done.error_code],
    ['completed', 0, 1000, 500, 1500, 0.002, null]);
  assert.equal(done.model_id, stack.models['openai/model-a']);
  const whole = Date.parse(done.completed_at) - Date.parse(done.created_at);
  assert.ok(done.ai_time_ms >= 300 && done.ai_time_ms <= done.execution_time_ms, JSON.stringify(done));
  assert.ok(Math.abs(done.queue_time_ms + done.execution_time_ms - whole) <= 5, JSON.stringify(done));
  const result = await resultOf(call, task);
  assert.deepEqual([result.output_text, result.output_json, result.metadata], ['Hello there', null, { mine: 7 }]);
  assert.deepEqual([result.outcome.provider, result.outcome.model, result.outcome.finish_reason], ['openai', 'model-a', 'stop']);
  assert.deepEqual(result.outcome.attempts.map(({ outcome }) => outcome), ['answered']);
  const records = await wholeRecords(stack, fresh.license.id, 1);
  assert.deepEqual([records[0].task, records[0].counts, records[0].cost_micro, records[0].task_cost_micro], [task.id, 1, 2000, 2000]);
  assert.deepEqual(await usedOf(stack, fresh.license.id), { requests: 1, cost_micro: 2000 });
  assert.deepEqual(await queued(stack, 'task_id = $1', [task.id]), []);
  const told = await toldOf(stack, fresh.id);
  assert.deepEqual(told.map(({ topic, payload }) => [topic, payload.task.id, payload.task.status]), [['ai.task.completed', task.id, 'completed']]);
  assert.ok(!JSON.stringify(told).includes('Hello'));
  assert.deepEqual(stack.ai.calls.map(({ body }) => body.messages), [says('Hello?')]);
});

test('a stored prompt with its values, a conversation, JSON, tools', async () => {
  const slug = `task-${randomUUID()}`;
  const prompt = good(await as('POST', '/api/ai/prompts', { body: {
    slug, name: 'Task', category: 'test', system_prompt: 'In {{language}}.', user_prompt_template: 'Text: {{input_text}}', temperature: 0.1, max_tokens: 99,
  } }), 201);
  stack.ai.on({}, ({ body }) => ({ text: JSON.stringify({ asked: body.messages.at(-1).content }) }));
  const task = await handIn(as, { prompt_slug: slug, variables: { language: 'Spanish' }, input_text: 'Hola', response_format: { type: 'json_object' } });
  assert.equal(task.prompt_id, prompt.id);
  assert.equal((await ended(as, task)).status, 'completed');
  assert.deepEqual((await resultOf(as, task)).output_json, { asked: 'Text: Hola' });
  const [{ body }] = stack.ai.calls;
  assert.deepEqual(body.messages.slice(-2), [{ role: 'system', content: 'In Spanish.' }, { role: 'user', content: 'Text: Hola' }]);
  assert.deepEqual([body.temperature, body.max_completion_tokens], [0.1, 99]);
  await eventually(async () => {
    const { usage_count: used, success_rate: rate, avg_response_time_ms: ms } = good(await as('GET', '/api/ai/prompts/{id}', { id: prompt.id }));
    return used === 1 && rate === 100 && ms !== null;
  });
  refused(await as('PATCH', '/api/ai/prompts/{id}', { id: prompt.id, body: { system_prompt: 'x' } }), 409, 'PROMPT_IN_USE');

  stack.ai.clear();
  stack.ai.on({}, { calls: [{ name: 'weather', arguments: { city: 'Lima' } }] });
  const tools = [{ type: 'function', function: { name: 'weather', description: 'x', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
  const other = await handIn(as, { messages: [{ role: 'system', content: 'Be kind' }, ...says('Weather?')], tools });
  await ended(as, other);
  const { outcome } = await resultOf(as, other);
  assert.equal(outcome.finish_reason, 'tool_calls');
  assert.deepEqual(JSON.parse(outcome.tool_calls[0].function.arguments), { city: 'Lima' });
});

test('what cannot be asked is refused when it is handed in, with its field', async () => {
  for (const [body, ...fields] of [
    [{}, 'prompt'], [{ prompt: '' }, 'prompt'], [{ messages: [] }, 'messages'], [{ prompt: 'x', messages: says('x') }, 'messages'],
    [{ prompt: 'x', variables: { a: 1 } }, 'variables'], [{ prompt: 'x', temperature: -1 }, 'temperature'],
    [{ prompt: 'x', provider: 'nobody' }, 'provider'], [{ prompt: 'x', deadline_ms: 5 }, 'deadline_ms'],
    [{ prompt: 'x', max_tokens: 0 }, 'max_tokens'],
  ]) refusedFields(await ask(body), ...fields);
  refused(await ask({ prompt: 'x', surprise: 1 }), 400, 'INVALID_BODY');
  refused(await ask({ messages: [{ role: 'nobody', content: 'x' }] }), 400, 'INVALID_BODY');
  refused(await ask({ prompt: 'x', model: 'nobody' }), 404, 'MODEL_NOT_FOUND');
  refused(await ask({ prompt: 'x', model: 'model-a', provider: 'groq' }), 404, 'MODEL_NOT_FOUND');
  const { fields, counted, most } = refused(await ask({ prompt: '.'.repeat(199_000), max_tokens: 5_000 }), 422, 'CONTEXT_LENGTH_EXCEEDED');
  assert.ok('messages' in fields && counted > most && most === 95_000, JSON.stringify({ fields, counted, most }));
  refused(await ask({ prompt_slug: 'nobody' }), 404, 'PROMPT_NOT_FOUND');
  refused(await ask({ prompt_id: randomUUID() }), 404, 'PROMPT_NOT_FOUND');
  refused(await ask({ prompt: 'x', license_id: randomUUID() }), 404, 'LICENSE_NOT_FOUND');
  const old = await insertLicense(stack, home.id, { expires_at: new Date(Date.now() - 1000) });
  refused(await ask({ prompt: 'x', license_id: old.id }), 403, 'LICENSE_EXPIRED');
  const none = await tenant(stack, { license: { status: 'suspended' } });
  refused(await ask({ prompt: 'x' }, none.as.developer), 403, 'LICENSE_REQUIRED');
  refused(await ask({ prompt: 'x' }, home.as.viewer), 403, 'FORBIDDEN');
  const big = await ask({ messages: says('x'.repeat(2_200_000)) });
  refused(big, 413, 'BODY_TOO_LARGE');
  assert.deepEqual(stack.ai.calls, []);
});

test('a failing provider is asked again with growing pauses, three times; then it failed, with its reason', async () => {
  const fresh = await tenant(stack);
  const call = fresh.as.developer;
  stack.ai.on({}, { status: 500 });
  const task = await handIn(call, { prompt: 'x', model: 'model-d', fallback: false });
  const pauses = [];
  for (const attempt of [1, 2, 3]) {
    const row = await eventually(async () => (await queued(stack, 'task_id = $1 AND lease IS NULL AND attempts = $2', [task.id, attempt]))[0]);
    pauses.push(Date.parse(row.due_at) - Date.now());
    const now = good(await call('GET', TASK, { id: task.id }));
    assert.deepEqual([now.status, now.retry_count], ['retrying', attempt - 1]);
    assert.ok(now.error_code);
    await hurry(stack, 'task_id = $1', [task.id]);
  }
  assert.ok(pauses[0] < pauses[1] && pauses[1] < pauses[2], `${pauses}`);
  const done = await ended(call, task);
  assert.deepEqual([done.status, done.retry_count], ['failed', 3]);
  assert.match(done.error_code, /^PROVIDERS_/);
  assert.ok(done.error_message.length > 5);
  const told = await toldOf(stack, fresh.id);
  assert.deepEqual(told.map(({ topic }) => topic), ['ai.task.failed']);
  assert.deepEqual(await usedOf(stack, fresh.license.id), { requests: 0, cost_micro: 0 });

  stack.ai.clear();
  await stack.pg.query("UPDATE processed_tasks SET request = request - 'model' WHERE id = $1", [task.id]);
  const again = good(await call('POST', `${TASK}/retry`, { id: task.id, body: {} }), 202);
  assert.deepEqual([again.status, again.error_code, again.retry_count], ['pending', null, 0]);
  assert.equal((await ended(call, task)).status, 'completed');
  assert.equal((await usedOf(stack, fresh.license.id)).requests === 1 || await eventually(async () => (await usedOf(stack, fresh.license.id)).requests === 1), true);
  assert.deepEqual((await auditOf(stack, task.id)).map(({ event }) => event), ['ai.task.retried']);
  refused(await call('POST', `${TASK}/retry`, { id: task.id, body: {} }), 409, 'TASK_STATUS_CONFLICT');
});

test('what is the question\'s own fault is not asked again', async () => {
  stack.ai.on({}, { status: 400 });
  const task = await handIn(as, { prompt: 'x' });
  const done = await ended(as, task);
  assert.deepEqual([done.status, done.retry_count, done.error_code], ['failed', 0, 'PROVIDER_REJECTED']);
  assert.equal(stack.ai.calls.length, 1);
});

test('when no key is to be had, nobody is asked and no attempt is counted', async () => {
  // Its license is held for half a minute: nobody else's tasks are to wait for that.
  const { as: { developer: call } } = await tenant(stack);
  stack.ai.on({}, { status: 429, retryAfter: 40 });
  const task = await handIn(call, { prompt: 'x', model: 'model-g', fallback: false });
  const first = await eventually(async () => (await queued(stack, 'task_id = $1 AND lease IS NULL AND attempts > 0', [task.id]))[0]);
  assert.equal(first.attempts, 1);
  const calls = stack.ai.calls.length;
  await stack.pg.query('UPDATE ai_task_turns SET held_until = NULL');
  await hurry(stack, 'task_id = $1', [task.id]);
  await eventually(async () => (await queued(stack, 'task_id = $1 AND lease IS NULL AND due_at > now() + interval \'1 second\'', [task.id]))[0]);
  const [row] = await queued(stack, 'task_id = $1', [task.id]);
  assert.equal(row.attempts, 1);
  assert.equal(stack.ai.calls.length, calls);
  good(await call('DELETE', TASK, { id: task.id }), 204);
});

test('cancelled before and during: no answer, and what was used is known', async () => {
  const fresh = await tenant(stack, { limits: { max_concurrent_tasks: 1 } });
  const call = fresh.as.developer;
  stack.ai.on({}, { text: 'late', usage: { input: 10, output: 10 }, delay: 1500 });
  const during = await handIn(call, { prompt: 'during' });
  const before = await handIn(call, { prompt: 'before' });
  await eventually(async () => stack.ai.calls.length > 0);
  good(await call('DELETE', TASK, { id: before.id }), 204);
  good(await call('DELETE', TASK, { id: before.id }), 204);
  good(await call('DELETE', TASK, { id: during.id }), 204);
  for (const task of [before, during]) {
    const now = good(await call('GET', TASK, { id: task.id }));
    assert.equal(now.status, 'cancelled');
    assert.ok(now.completed_at);
  }
  await eventually(async () => (await queued(stack, 'organization_id = $1', [fresh.id])).length === 0);
  const late = good(await call('GET', TASK, { id: during.id }));
  assert.deepEqual([late.status, late.tokens_input, late.cost_usd], ['cancelled', 10, 0.00003]);
  assert.equal((await resultOf(call, during)).output_text, null);
  assert.deepEqual(await toldOf(stack, fresh.id), []);
  assert.equal(stack.ai.calls.length, 1);
  refused(await as('DELETE', TASK, { id: (await ended(as, await handIn(as, { prompt: 'x' }))).id }), 409, 'TASK_STATUS_CONFLICT');
  const again = good(await call('POST', `${TASK}/retry`, { id: before.id, body: {} }), 202);
  assert.equal((await ended(call, again)).status, 'completed');
});

test('within the quota: what is beyond it fails with that, and is not asked', async () => {
  const fresh = await tenant(stack, { limits: { max_ai_requests_per_month: 3 } });
  const call = fresh.as.developer;
  // All are handed in before the first is asked.
  await stack.pg.query("INSERT INTO ai_task_turns (license_id, organization_id, served_at, held_until) VALUES ($1, $2, now(), now() + interval '1 hour')", [fresh.license.id, fresh.id]);
  const tasks = [];
  for (let n = 0; n < 5; n += 1) tasks.push(await handIn(call, { prompt: `n ${n}` }));
  await stack.pg.query('UPDATE ai_task_turns SET held_until = NULL WHERE license_id = $1', [fresh.license.id]);
  await hurry(stack, 'organization_id = $1', [fresh.id]);
  const done = await Promise.all(tasks.map((task) => ended(call, task)));
  const count = (status) => done.filter((task) => task.status === status).length;
  assert.deepEqual([count('completed'), count('failed'), stack.ai.calls.length], [3, 2, 3]);
  assert.ok(done.filter(({ status }) => status === 'failed').every(({ error_code: code }) => code === 'QUOTA_EXCEEDED'));
});

test('what could not be asked now is refused when it is handed in, as whoever asks at once is', async () => {
  const both = async (fresh, call = fresh.as.developer) => {
    const answers = [await ask({ prompt: 'x', model: 'model-a' }, call), await call('POST', '/api/ai/chat', { body: { messages: says('x'), model: 'model-a' } })];
    const batch = await call('POST', '/api/ai/batches', { body: { items: [{ prompt: 'x' }], model: 'model-a' } });
    return [...answers, batch];
  };
  const spent = await tenant(stack, { limits: { max_ai_requests_per_month: 1 } });
  good(await spent.as.developer('POST', '/api/ai/chat', { body: { messages: says('x'), model: 'model-a' } }));
  for (const answer of await both(spent)) {
    const details = refused(answer, 429, 'QUOTA_EXCEEDED');
    assert.deepEqual([details.limit, details.most, details.left], ['max_ai_requests_per_month', 1, 0]);
    assert.ok(Date.parse(details.resets_at) > Date.now() && Number(answer.headers.get('retry-after')) > 1);
  }
  const poor = await tenant(stack, { limits: { max_ai_cost_usd_per_month: 0 } });
  for (const answer of await both(poor)) assert.equal(refused(answer, 429, 'QUOTA_EXCEEDED').limit, 'max_ai_cost_usd_per_month');
  const rich = await tenant(stack);
  const key = await withApiKey(stack, rich.users.developer, rich.id, { max_ai_cost_usd_per_month: '0' });
  for (const answer of await both(rich, key)) assert.equal(refused(answer, 429, 'QUOTA_EXCEEDED').limit, 'api_key.max_ai_cost_usd_per_month');
  const closed = await tenant(stack, { limits: { max_concurrent_tasks: 0 } });
  for (const answer of await both(closed)) {
    const details = refused(answer, 429, 'CONCURRENCY_LIMIT');
    assert.deepEqual([details.limit, details.most], ['max_concurrent_tasks', 0]);
  }
  // Looking holds nothing: the one request and the one place are there still.
  const one = await tenant(stack, { limits: { max_ai_requests_per_month: 2, max_concurrent_tasks: 1 } });
  const task = await handIn(one.as.developer, { prompt: 'x', model: 'model-a' });
  assert.equal((await ended(one.as.developer, task)).status, 'completed');
  good(await one.as.developer('POST', '/api/ai/chat', { body: { messages: says('x'), model: 'model-a' } }));
  // What was taken once is given again, whatever is left by then.
  const last = await tenant(stack, { limits: { max_ai_requests_per_month: 1 } });
  const headers = { 'idempotency-key': randomUUID() };
  const taken = await last.as.developer('POST', TASKS, { body: { prompt: 'x', model: 'model-a' }, headers });
  await ended(last.as.developer, good(taken, 202));
  const again = await last.as.developer('POST', TASKS, { body: { prompt: 'x', model: 'model-a' }, headers });
  assert.deepEqual([again.status, again.text], [202, taken.text]);
});

test('never more at a time than the license allows', async () => {
  const fresh = await tenant(stack, { limits: { max_concurrent_tasks: 2 } });
  const call = fresh.as.developer;
  let open = 0;
  let most = 0;
  stack.ai.on({}, async () => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setTimeout(resolve, 150));
    open -= 1;
    return { text: 'ok' };
  });
  const tasks = await Promise.all(Array.from({ length: 8 }, (_, n) => handIn(call, { prompt: `n ${n}` })));
  const done = await Promise.all(tasks.map((task) => ended(call, task)));
  assert.deepEqual([...new Set(done.map(({ status }) => status))], ['completed']);
  assert.ok(most <= 2, `${most}`);
});

test('a client hands in with its own licenses and sees its own tasks; a key that ended asks nothing more', async () => {
  const client = home.as.client;
  refused(await ask({ prompt: 'x' }, client), 403, 'LICENSE_REQUIRED');
  await insertLicense(stack, home.id, { owner_id: home.users.client });
  const own = await handIn(client, { prompt: 'mine' });
  const other = await handIn(as, { prompt: 'theirs' });
  await Promise.all([ended(client, own), ended(as, other)]);
  refused(await client('GET', TASK, { id: other.id }), 404, 'TASK_NOT_FOUND');
  const listed = good(await client('GET', TASKS));
  assert.deepEqual(listed.map(({ id }) => id), [own.id]);
  const key = await withApiKey(stack, home.users.developer, home.id);
  stack.ai.on({}, { status: 503 });
  const late = await handIn(key, { prompt: 'late', model: 'model-n', fallback: false });
  await eventually(async () => (await queued(stack, 'task_id = $1 AND lease IS NULL AND attempts > 0', [late.id]))[0]);
  await stack.pg.query('UPDATE user_api_keys SET is_active = false WHERE id = $1', [key.id]);
  await stack.pg.query('UPDATE ai_task_turns SET held_until = NULL');
  await hurry(stack, 'task_id = $1', [late.id]);
  const done = await ended(as, late);
  assert.deepEqual([done.status, done.error_code], ['failed', 'INVALID_API_KEY']);
});

test('the same call again with its key hands in once', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const [one, two] = await Promise.all([1, 2].map(() => as('POST', TASKS, { body: { prompt: 'once' }, headers })));
  assert.equal(good(one, 202).id, good(two, 202).id);
  assert.equal(one.text, two.text, 'given again to the byte');
  await ended(as, one.data);
  assert.equal(stack.ai.calls.length, 1);
});

test('lists by status, license and time', async () => {
  const fresh = await tenant(stack);
  const call = fresh.as.developer;
  const made = [];
  for (let n = 0; n < 3; n += 1) made.push(await handIn(call, { prompt: `n ${n}` }));
  await Promise.all(made.map((task) => ended(call, task)));
  const list = async (query) => good(await call('GET', TASKS, { query })).map(({ id }) => id);
  const ids = made.map(({ id }) => id);
  assert.deepEqual(await list({}), ids.toReversed());
  assert.deepEqual(await list({ status: 'completed', order: 'asc' }), ids);
  assert.deepEqual(await list({ status: 'failed' }), []);
  assert.deepEqual(await list({ license_id: fresh.license.id, input_type: 'task', per_page: 1 }), [ids[2]]);
  assert.deepEqual(await list({ created_after: made[2].created_at }), [ids[2]]);
});
