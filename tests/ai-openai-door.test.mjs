// OpenAI's API in front of everything: shapes of answers, streams and errors. The official clients have a file of
// their own.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { openMesh, eventsOf, says, streams, tenant, wholeRecords } from './support/ai.mjs';
import { withApiKey } from './support/world.mjs';

let stack;
let home;
let key;
before(async () => {
  stack = await openMesh({ keys: { openai: ['key-openai-1'], gemini: ['key-gemini-1'] }, models: [['openai', 'model-a', { aliases: ['fast'] }], ['gemini', 'model-g']] });
  home = await tenant(stack);
  key = (await withApiKey(stack, home.users.developer, home.id, { scopes: ['ai:use'] })).key;
});
beforeEach(() => stack.ai.clear());
after(async () => {
  assert.deepEqual(stack.ai.problems, []);
  await stack.stop();
  await stack.ai.close();
});

async function ask(body, { token = key, headers } = {}) {
  const response = await streams(stack, token, { stream: false, ...body }, { path: '/v1/chat/completions', headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
}

test('an answer as OpenAI gives it, from whichever provider', async () => {
  for (const model of ['model-a', 'model-g']) {
    stack.ai.on({}, { text: 'Hello', usage: { input: 12, output: 3, cached: 4 } });
    const { status, body } = await ask({ model, messages: says('Hi'), max_completion_tokens: 50, presence_penalty: 0, n: 1, user: 'me', store: false });
    assert.equal(status, 200, JSON.stringify(body));
    assert.match(body.id, /^chatcmpl-[0-9a-f]{32}$/);
    assert.deepEqual([body.object, body.model], ['chat.completion', model]);
    assert.deepEqual(body.choices, [{ index: 0, message: { role: 'assistant', content: 'Hello', refusal: null }, logprobs: null, finish_reason: 'stop' }]);
    assert.deepEqual([body.usage.prompt_tokens, body.usage.completion_tokens, body.usage.total_tokens], [12, 3, 15]);
    assert.equal(body.celaest.license_id, home.license.id);
  }
});

test('the same Idempotency-Key is asked once, and a stream cannot have one', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const body = { model: 'model-a', messages: says('once') };
  const first = await ask(body, { headers });
  const again = await ask(body, { headers });
  assert.deepEqual([again.status, again.text], [200, first.text], 'given again to the byte');
  assert.equal(stack.ai.calls.length, 1);
  const other = await ask({ ...body, messages: says('other') }, { headers });
  assert.deepEqual([other.status, other.body.error.code], [409, 'idempotency_conflict']);
  // Whose license it uses is a part of what is asked.
  const elsewhere = await ask(body, { headers: { ...headers, 'x-license-id': home.license.id } });
  assert.deepEqual([elsewhere.status, elsewhere.body.error.code], [409, 'idempotency_conflict']);
  const stream = await ask({ ...body, stream: true }, { headers: { 'idempotency-key': randomUUID() } });
  assert.deepEqual([stream.status, stream.body.error.param], [400, 'stream']);
  assert.equal(stack.ai.calls.length, 1);
});

test('fifty at once with one Idempotency-Key: one is asked, and the others keep nobody waiting', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const before = stack.ai.calls.length;
  stack.ai.on({}, { text: 'late', delay_ms: 1_000 });
  const all = () => Array.from({ length: 50 }, () => ask({ model: 'model-a', messages: says('all') }, { headers }));
  const answers = await Promise.all(all());
  assert.equal(stack.ai.calls.length, before + 1);
  for (const { status, body } of answers) {
    assert.ok(status === 200 || (status === 409 && body.error.code === 'idempotency_in_progress'), JSON.stringify(body));
  }
  const [given] = answers.filter(({ status }) => status === 200);
  assert.deepEqual((await Promise.all(all())).map(({ body }) => body), Array(50).fill(given.body));
  assert.equal(stack.ai.calls.length, before + 1);
  // What failed can be asked again.
  stack.ai.on({}, { status: 400 });
  const failed = { 'idempotency-key': randomUUID() };
  assert.equal((await ask({ model: 'model-a', messages: says('bad') }, { headers: failed })).status, 400);
  stack.ai.clear();
  assert.equal((await ask({ model: 'model-a', messages: says('bad') }, { headers: failed })).status, 200);
});

test('a stream in chunks, with its usage when asked for, and [DONE] at its end', async () => {
  stack.ai.on({}, { text: 'one two three', usage: { input: 9, output: 3 } });
  const response = await streams(stack, key, { model: 'fast', messages: says('x'), stream_options: { include_usage: true } }, { path: '/v1/chat/completions' });
  const events = await eventsOf(response);
  assert.equal(events.at(-1).data, '[DONE]');
  const chunks = events.slice(0, -1).map(({ data }) => data);
  assert.ok(chunks.every((chunk) => chunk.object === 'chat.completion.chunk' && chunk.id === chunks[0].id));
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), 'one two three');
  assert.equal(chunks.at(-2).choices[0].finish_reason, 'stop');
  assert.deepEqual([chunks.at(-1).choices, chunks.at(-1).usage.total_tokens], [[], 12]);
});

test('an error within a stream is no clean end', async () => {
  stack.ai.on({}, { text: 'one two three', cut: 2 });
  const events = await eventsOf(await streams(stack, key, { model: 'model-a', messages: says('x') }, { path: '/v1/chat/completions' }));
  assert.equal(events.at(-1).data.error.code, 'providers_failed');
  assert.ok(!events.some(({ data }) => data === '[DONE]'));
});

test('errors have OpenAI\'s shape and status', async () => {
  for (const [body, status, type, code, param] of [
    [{ model: 'nobody', messages: says('x') }, 404, 'invalid_request_error', 'model_not_found', null],
    [{ model: 'model-a', messages: [] }, 400, 'invalid_request_error', 'validation_failed', 'messages'],
    [{ model: 'model-a', messages: says('x'), temperature: 3 }, 400, 'invalid_request_error', 'validation_failed', 'temperature'],
    [{ model: 'model-a', messages: says('x'), n: 2 }, 400, 'invalid_request_error', 'validation_failed', 'n'],
    [{ model: 'model-a', messages: says('x'), nonsense: 1 }, 400, 'invalid_request_error', 'invalid_body', undefined],
  ]) {
    const answer = await ask(body);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.deepEqual([answer.body.error.type, answer.body.error.code], [type, code]);
    if (param !== undefined) assert.equal(answer.body.error.param, param);
    assert.ok(answer.body.error.message.length > 5);
  }
  const stranger = await ask({ model: 'model-a', messages: says('x') }, { token: 'sk-nobody' });
  assert.deepEqual([stranger.status, stranger.body.error.code], [401, 'invalid_api_key']);
  const poor = await tenant(stack, { limits: { max_ai_requests_per_month: 0 } });
  const poorKey = (await withApiKey(stack, poor.users.developer, poor.id)).key;
  const quota = await ask({ model: 'model-a', messages: says('x') }, { token: poorKey });
  assert.deepEqual([quota.status, quota.body.error.code, quota.headers.get('x-should-retry')], [429, 'insufficient_quota', 'false']);
});

test('a license may be named in a header', async () => {
  const other = await tenant(stack);
  const token = (await withApiKey(stack, other.users.developer, other.id)).key;
  assert.equal((await ask({ model: 'model-a', messages: says('x') }, { token, headers: { 'x-license-id': other.license.id } })).status, 200);
  await wholeRecords(stack, other.license.id, 1);
  assert.equal((await ask({ model: 'model-a', messages: says('x') }, { token, headers: { 'x-license-id': home.license.id } })).status, 404);
});

test('the models that can be called, with their aliases', async () => {
  const response = await fetch(`${stack.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  const body = await response.json();
  assert.equal(body.object, 'list');
  assert.deepEqual(body.data.map(({ id, owned_by: owner }) => `${owner} ${id}`), ['openai model-a', 'openai fast', 'gemini model-g']);
  assert.equal((await fetch(`${stack.url}/v1/models`)).status, 401);
});
