// A question and its answer, whole: what is asked of whom, what it cost, and what is written down.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { eventuallyHolds, openMesh, says, tenant, usedOf, wholeRecords } from './support/ai.mjs';
import { insertLicense, withApiKey } from './support/world.mjs';

let stack;
let home;
before(async () => {
  stack = await openMesh({
    keys: { openai: ['key-openai-1', 'key-openai-2'], anthropic: ['key-anthropic-1'] },
    models: [['openai', 'model-a', { aliases: ['fast'] }], ['openai', 'model-b'], ['anthropic', 'model-c'], ['openai', 'blind', { capabilities: { streaming: true } }], ['openai', 'unpriced', { cost_per_1k_input: null, cost_per_1k_output: null }]],
  });
  home = await tenant(stack);
});
beforeEach(() => stack.ai.clear());
after(async () => {
  assert.deepEqual(stack.ai.problems, []);
  await stack.stop();
  await stack.ai.close();
});

const chat = (body, as = home.as.developer, more = {}) => as('POST', '/api/ai/chat', { body, ...more });

test('an answer says who gave it, what it took and what it cost, and is written down once', async () => {
  stack.ai.on({}, { text: 'Hello there', usage: { input: 1000, output: 500 } });
  const data = good(await chat({ messages: says('Hello?'), model: 'model-a', max_tokens: 700, temperature: 0.3 }));
  assert.equal(data.message.role, 'assistant');
  assert.equal(data.message.content, 'Hello there');
  assert.equal(data.finish_reason, 'stop');
  assert.deepEqual([data.usage.input, data.usage.output], [1000, 500]);
  assert.deepEqual([data.provider, data.model, data.license_id], ['openai', 'model-a', home.license.id]);
  assert.equal(data.cost_micro_usd, 1000 + 1000);
  assert.deepEqual(data.attempts.map(({ provider, model, outcome }) => [provider, model, outcome]), [['openai', 'model-a', 'answered']]);
  assert.ok(data.ai_ms >= 0 && data.overhead_ms >= 0);
  assert.equal(stack.ai.calls.length, 1);
  const [record] = await wholeRecords(stack, home.license.id, 1);
  assert.equal(record.id, data.id);
  assert.deepEqual([record.task, record.core_request_id], [data.id, data.id]);
  assert.deepEqual([record.counts, record.tokens_input, record.tokens_output, record.cost_micro], [1, 1000, 500, 2000]);
  assert.deepEqual([record.status, record.task_cost_micro, record.tokens_total], ['completed', 2000, 1500]);
  assert.deepEqual([record.input_type, record.input_text, record.output_raw], ['chat', 'Hello?', 'Hello there']);
  assert.deepEqual([record.model_id, record.user_id], [stack.models['openai/model-a'], home.users.developer]);
  assert.ok(record.api_key_id);
  assert.equal(record.metadata.attempts.length, 1);
  assert.deepEqual(await usedOf(stack, home.license.id), { requests: 1, cost_micro: 2000 });
});

test('when everything is warm: three calls to objects and no statement', async () => {
  await chat({ messages: says('warm') });
  await eventuallyHolds(async () => {
    const answer = await chat({ messages: says('warm'), model: 'model-a' });
    assert.deepEqual(answer.counts, { db: 0, do: 3 });
  });
});

test('a model by name, id, alias or provider; the default by priority', async () => {
  const asked = async (body) => {
    const data = good(await chat({ messages: says('who?'), ...body }));
    return `${data.provider}/${data.model}`;
  };
  assert.equal(await asked({}), 'openai/model-a');
  assert.equal(await asked({ model: 'model-b' }), 'openai/model-b');
  assert.equal(await asked({ model: stack.models['anthropic/model-c'] }), 'anthropic/model-c');
  assert.equal(await asked({ model: 'fast' }), 'openai/model-a');
  assert.equal(await asked({ model: 'anthropic/model-c' }), 'anthropic/model-c');
  assert.equal(await asked({ provider: 'anthropic' }), 'anthropic/model-c');
  assert.deepEqual(refused(await chat({ messages: says('x'), model: 'nobody' }), 404, 'MODEL_NOT_FOUND').model, 'nobody');
  refused(await chat({ messages: says('x'), model: 'model-a', provider: 'anthropic' }), 404, 'MODEL_NOT_FOUND');
  refused(await chat({ messages: says('x'), provider: 'nobody' }), 400, 'INVALID_BODY');
});

test('a failing key is followed by another, a failing provider by another model, and a wrong question by nobody', async () => {
  stack.ai.on({ provider: 'openai' }, { status: 500 });
  const data = good(await chat({ messages: says('x'), retries: 3 }));
  assert.equal(data.provider, 'anthropic');
  assert.deepEqual(data.attempts.map(({ outcome }) => outcome), ['provider_error', 'provider_error', 'answered']);
  assert.equal(new Set(stack.ai.calls.map(({ key }) => key)).size, 3);
  stack.ai.clear();
  stack.ai.on({ provider: 'openai' }, { status: 500 });
  const failed = refused(await chat({ messages: says('x'), model: 'model-a', fallback: false }), 502, 'PROVIDERS_FAILED');
  assert.ok(failed.attempts.every(({ provider, model }) => provider === 'openai' && model === 'model-a'));
  stack.ai.clear();
  stack.ai.on({ provider: 'openai' }, { status: 400, message: 'The field is wrong' });
  const rejected = refused(await chat({ messages: says('x'), model: 'model-a' }), 422, 'PROVIDER_REJECTED');
  assert.equal(rejected.message, 'The field is wrong');
  assert.equal(stack.ai.calls.length, 1);
});

test('one deadline over all attempts', async () => {
  stack.ai.on({}, { hang: true });
  const began = Date.now();
  const late = refused(await chat({ messages: says('x'), deadline_ms: 600 }), 504, 'DEADLINE_EXCEEDED');
  assert.ok(Date.now() - began < 25_000, 'not the deadline of those who give none');
  assert.equal(late.attempts.at(-1).outcome, 'timeout');
});

test('what cannot be asked is refused before anybody is', async () => {
  for (const [body, ...fields] of [
    [{ messages: [] }, 'messages'],
    [{ messages: says('x'), temperature: -1 }, 'temperature'],
    [{ messages: says('x'), deadline_ms: 1 }, 'deadline_ms'],
    [{ messages: says('x'), variables: { a: 1 } }, 'variables'],
    [{ messages: says('x'), max_tokens: 9_000, model: 'model-a' }, 'max_tokens'],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }] }], model: 'blind' }, 'messages'],
    [{ messages: says('x'), model: 'blind', response_format: { type: 'json_object' } }, 'response_format'],
  ]) refusedFields(await chat(body), ...fields);
  refused(await chat({ messages: [{ role: 'boss', content: 'x' }] }), 400, 'INVALID_BODY');
  // The worker need not read what it refuses, so the connection may break first.
  const large = await chat({ messages: says('x'.repeat(5 * 1024 * 1024)) }).catch(() => undefined);
  if (large) refused(large, 413, 'BODY_TOO_LARGE');
  const long = refused(await chat({ messages: says('word '.repeat(200_000)), model: 'model-a' }), 422, 'CONTEXT_LENGTH_EXCEEDED');
  assert.ok(long.counted > 100_000 && long.context_window === 100_000 && long.fields.messages);
  assert.equal(stack.ai.calls.length, 0);
});

test('the same Idempotency-Key is asked once', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const body = { messages: says('once') };
  const first = good(await chat(body, home.as.developer, { headers }));
  const again = good(await chat(body, home.as.developer, { headers }));
  assert.deepEqual(again, first);
  assert.equal(stack.ai.calls.length, 1);
  refused(await chat({ messages: says('other') }, home.as.developer, { headers }), 409, 'IDEMPOTENCY_CONFLICT');
});

test('JSON of a schema, and functions that the model asks for', async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
  const data = good(await chat({ messages: says('where?'), response_format: { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } } }));
  assert.equal(typeof JSON.parse(data.message.content).city, 'string');
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
  for (const model of ['model-a', 'model-c']) {
    const asks = good(await chat({ messages: says('weather?'), model, tools, tool_choice: 'required' }));
    assert.equal(asks.finish_reason, 'tool_calls');
    const [call] = asks.message.tool_calls;
    assert.equal(call.function.name, 'weather');
    const messages = [...says('weather?'), asks.message, { role: 'tool', tool_call_id: call.id, content: '{"degrees": 21}' }];
    const told = good(await chat({ messages, model, tools }));
    assert.match(told.message.content, /21/);
  }
});

test('a license that is not in force, not the caller\'s, or not there', async () => {
  for (const [columns, code, status] of [
    [{ expires_at: new Date(Date.now() - 1000) }, 'LICENSE_EXPIRED', 'EXPIRED'],
    [{ status: 'suspended' }, 'LICENSE_INACTIVE', 'SUSPENDED'],
    [{ status: 'cancelled' }, 'LICENSE_INACTIVE', 'CANCELLED'],
  ]) {
    const license = await insertLicense(stack, home.id, columns);
    assert.deepEqual(refused(await chat({ messages: says('x'), license_id: license.id }), 403, code), { status });
  }
  const other = await tenant(stack);
  refused(await chat({ messages: says('x'), license_id: other.license.id }), 404, 'LICENSE_NOT_FOUND');
  refused(await chat({ messages: says('x'), license_id: randomUUID() }), 404, 'LICENSE_NOT_FOUND');
  // A client uses only what is theirs.
  refused(await chat({ messages: says('x'), license_id: home.license.id }, home.as.client), 404, 'LICENSE_NOT_FOUND');
  refused(await chat({ messages: says('x') }, home.as.client), 403, 'LICENSE_REQUIRED');
  const own = await insertLicense(stack, home.id, { owner_id: home.users.client });
  assert.equal(good(await chat({ messages: says('x') }, home.as.client)).license_id, own.id);
  refused(await chat({ messages: says('x') }, home.as.viewer), 403, 'FORBIDDEN');
  assert.equal(stack.ai.calls.length, 1);
});

test('a change of the license counts for the very next call', async () => {
  const mine = await tenant(stack);
  const body = { messages: says('x'), license_id: mine.license.id };
  good(await chat(body, mine.as.admin));
  good(await mine.as.admin('POST', '/api/licenses/{id}/revoke', { id: mine.license.id, body: {} }));
  refused(await chat(body, mine.as.admin), 403, 'LICENSE_INACTIVE');
  good(await mine.as.admin('POST', '/api/licenses/{id}/reactivate', { id: mine.license.id, body: {} }));
  good(await chat(body, mine.as.admin));
});

test('an API key calls under its own name', async () => {
  const key = await withApiKey(stack, home.users.developer, home.id, { scopes: ['ai:use'] });
  const mine = await insertLicense(stack, home.id);
  good(await chat({ messages: says('x'), license_id: mine.id }, key));
  const [record] = await wholeRecords(stack, mine.id, 1);
  assert.equal(record.caller_key, key.id);
});

test('a text is completed, with rules or without', async () => {
  const data = good(await home.as.developer('POST', '/api/ai/completions', { body: { prompt: 'Once upon a time', system: 'Be short' } }));
  assert.match(data.text, /Once upon a time/);
  assert.equal(stack.ai.calls[0].body.messages[0].content, 'Be short');
  refusedFields(await home.as.developer('POST', '/api/ai/completions', { body: {} }), 'prompt');
});

test('a price that is not known makes no cost', async () => {
  const mine = await tenant(stack);
  assert.equal(good(await chat({ messages: says('x'), model: 'unpriced' }, mine.as.developer)).cost_micro_usd, null);
  const [record] = await wholeRecords(stack, mine.license.id, 1);
  assert.deepEqual([record.cost_micro, record.task_cost_micro], [null, null]);
});
