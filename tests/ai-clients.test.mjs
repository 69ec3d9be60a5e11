// The official `openai` client, unmodified, against /v1: what it asks and what it makes of the answers.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import OpenAI from 'openai';
import { openMesh, says, tenant } from './support/ai.mjs';
import { withApiKey } from './support/world.mjs';

let stack;
let home;
let client;
let key;
before(async () => {
  stack = await openMesh({
    keys: { openai: ['key-openai'], anthropic: ['key-anthropic'], gemini: ['key-gemini'], local: ['key-local'] },
    models: [['openai', 'gpt-a', { aliases: ['smart'] }], ['anthropic', 'claude-a'], ['gemini', 'gemini-3.8-flash'], ['local', 'llama3.2']],
  });
  home = await tenant(stack, { limits: { max_ai_requests_per_month: -1 } });
  ({ key } = await withApiKey(stack, home.users.developer, home.id));
  client = new OpenAI({ apiKey: key, baseURL: `${stack.url}/v1`, maxRetries: 0 });
});
beforeEach(() => stack.ai.clear());
after(() => stack?.stop());

const MODELS = ['gpt-a', 'claude-a', 'gemini-3.8-flash', 'llama3.2'];
const ask = (more) => ({ model: 'gpt-a', messages: says('One two three'), ...more });
const tools = [{
  type: 'function',
  function: {
    name: 'weather', description: 'The weather of a city', strict: true,
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
}];

test('an answer', async () => {
  for (const model of MODELS) {
    const completion = await client.chat.completions.create(ask({ model, temperature: 0.2, max_completion_tokens: 100, user: 'somebody' }));
    assert.equal(completion.object, 'chat.completion');
    assert.ok(completion.id && completion.created > 1_700_000_000 && completion._request_id);
    assert.equal(completion.model, model);
    const [{ index, message, finish_reason: finish }] = completion.choices;
    assert.deepEqual([index, message.role, message.content, finish], [0, 'assistant', 'You said: One two three', 'stop']);
    const { prompt_tokens: input, completion_tokens: output, total_tokens: total } = completion.usage;
    assert.ok(input > 0 && output > 0 && total === input + output);
  }
  assert.deepEqual(stack.ai.problems, []);
});

test('a stream, chunk by chunk, with what was used when that is asked for', async () => {
  for (const model of MODELS) {
    const stream = await client.chat.completions.create(ask({ model, stream: true, stream_options: { include_usage: true } }));
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.ok(chunks.every(({ object, id }) => object === 'chat.completion.chunk' && id === chunks[0].id));
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), 'You said: One two three');
    assert.equal(chunks.map(({ choices }) => choices[0]?.finish_reason).find(Boolean), 'stop');
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.total_tokens > 0);
  }
  const bare = [];
  for await (const chunk of await client.chat.completions.create(ask({ stream: true }))) bare.push(chunk);
  assert.ok(bare.every(({ usage, choices }) => !usage && choices.length === 1));
});

test('the client\'s own helper for streams', async () => {
  const runner = client.chat.completions.stream(ask());
  let text = '';
  runner.on('content', (delta) => { text += delta; });
  const completion = await runner.finalChatCompletion();
  assert.equal(text, 'You said: One two three');
  assert.equal(completion.choices[0].message.content, text);
});

test('tools: the client calls the function and sends its result by itself', async () => {
  for (const model of MODELS) {
    const asked = [];
    const runner = client.chat.completions.runTools({
      model, messages: says('The weather in Lima?'),
      tools: [{ type: 'function', function: { ...tools[0].function, parse: JSON.parse, function: ({ city }) => { asked.push(city); return `sunny in ${city}`; } } }],
    });
    assert.equal(await runner.finalContent(), 'The tools say: sunny in text', model);
    assert.deepEqual(asked, ['text']);
    // The message goes back as it came, and with it whatever its provider wants to see again.
    const streaming = client.chat.completions.runTools({
      model, stream: true, messages: says('The weather in Lima?'),
      tools: [{ type: 'function', function: { ...tools[0].function, parse: JSON.parse, function: () => 'rain' } }],
    });
    assert.equal(await streaming.finalContent(), 'The tools say: rain', model);
  }
  assert.deepEqual(stack.ai.problems, []);
});

test('JSON of a schema, parsed', async () => {
  const schema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false };
  const format = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } };
  for (const model of MODELS) {
    const { choices: [{ message }] } = await client.chat.completions.create(ask({ model, response_format: format }));
    assert.deepEqual(JSON.parse(message.content), { name: 'text', age: 1 });
  }
  const { choices: [{ message }] } = await client.chat.completions.parse(ask({ response_format: format }));
  assert.deepEqual(message.parsed ?? JSON.parse(message.content), { name: 'text', age: 1 });
});

test('models: what can be called, by its names', async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model);
  for (const name of MODELS) assert.ok(models.some(({ id, object }) => id === name && object === 'model'), name);
  const { choices: [{ message }] } = await client.chat.completions.create(ask({ model: 'smart' }));
  assert.equal(message.content, 'You said: One two three');
});

test('one model, by any of its names', async () => {
  const { id, object, owned_by: owner, created } = await client.models.retrieve('gpt-a');
  assert.deepEqual([id, object, owner], ['gpt-a', 'model', 'openai']);
  assert.ok(created > 1_600_000_000);
  assert.equal((await client.models.retrieve('smart')).owned_by, 'openai');
  assert.equal((await client.models.retrieve('local/llama3.2')).id, 'local/llama3.2');
  await fails(client.models.retrieve('nobody'), OpenAI.NotFoundError, 404, 'model_not_found');
});

test('what clients and frameworks send beside the question, and what it comes to', async () => {
  const call = (more) => client.chat.completions.create(ask(more));
  // Taken, and without an effect here.
  for (const fields of [
    { store: true, metadata: { chain: 'x' }, service_tier: 'auto', user: 'me', safety_identifier: 'me', prompt_cache_key: 'me', verbosity: 'low' },
    { prompt_cache_retention: '24h', prompt_cache_options: {}, prediction: { type: 'content', content: 'One' } },
    { n: 1, logprobs: false, top_logprobs: 0, logit_bias: {}, frequency_penalty: 0, presence_penalty: 0, modalities: ['text'], functions: [], function_call: 'auto' },
    { stream_options: { include_usage: true, include_obfuscation: false } },
    { tools: [], tool_choice: 'auto', stop: [] },
    Object.fromEntries(['logit_bias', 'logprobs', 'top_logprobs', 'n', 'stop', 'seed', 'tools', 'tool_choice', 'response_format', 'audio', 'metadata',
      'temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'service_tier', 'stream_options', 'user', 'web_search_options', 'moderation'].map((name) => [name, null])),
  ]) assert.equal((await call(fields)).choices[0].message.content, 'You said: One two three', JSON.stringify(fields));
  // Passed on, as the provider has it.
  stack.ai.clear();
  await call({ tools, parallel_tool_calls: false, seed: 7, stop: 'END', max_completion_tokens: 50, top_p: 0.5 });
  const [{ body }] = stack.ai.calls;
  assert.deepEqual([body.parallel_tool_calls, body.seed, body.stop, body.max_completion_tokens, body.top_p], [false, 7, ['END'], 50, 0.5]);
  stack.ai.clear();
  await call({ messages: [{ role: 'developer', content: 'Be short.' }, ...says('Hi')], reasoning_effort: 'low' });
  assert.equal(stack.ai.calls[0].body.reasoning_effort, 'low');
  assert.equal(stack.ai.calls[0].body.messages.length, 2);
  // Refused by name, where it would change the answer.
  stack.ai.clear();
  for (const [field, value] of Object.entries({
    n: 2, logprobs: true, top_logprobs: 3, logit_bias: { 50_256: -100 }, frequency_penalty: 0.5, presence_penalty: -0.5, modalities: ['text', 'audio'],
    audio: { voice: 'alloy', format: 'mp3' }, web_search_options: {}, moderation: { model: 'x' }, functions: [{ name: 'f' }], function_call: { name: 'f' },
  })) {
    const error = await fails(call({ [field]: value }), OpenAI.BadRequestError, 400, 'validation_failed');
    assert.equal(error.param, field);
  }
  const unknown = await fails(call({ surprise: 1 }), OpenAI.BadRequestError, 400, 'invalid_body');
  assert.match(unknown.message, /surprise/);
  assert.deepEqual([stack.ai.calls, stack.ai.problems], [[], []]);
});

/** Asserts the class, status, code and shape of an error. */
async function fails(promise, Kind, status, code) {
  const error = await promise.then(() => assert.fail('must fail'), (caught) => caught);
  assert.ok(error instanceof Kind, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.status, status, error.message);
  if (code) assert.equal(error.code, code);
  assert.ok(error.type && error.error.message && error.requestID);
  return error;
}

test('errors are those that the client knows', async () => {
  const { create } = client.chat.completions;
  const call = (more) => create.call(client.chat.completions, ask(more));
  const stranger = new OpenAI({ apiKey: 'celk_nobody', baseURL: `${stack.url}/v1`, maxRetries: 0 });
  await fails(stranger.chat.completions.create(ask()), OpenAI.AuthenticationError, 401);
  await fails(call({ model: 'nobody' }), OpenAI.NotFoundError, 404, 'model_not_found');
  const negative = await fails(call({ temperature: -1 }), OpenAI.BadRequestError, 400);
  assert.equal(negative.param, 'temperature');
  await fails(call({ messages: [] }), OpenAI.BadRequestError, 400);
  await fails(call({ messages: [{ role: 'robot', content: 'x' }] }), OpenAI.BadRequestError, 400);
  await fails(call({ messages: says('x '.repeat(500_000)) }), OpenAI.BadRequestError, 400, 'context_length_exceeded');
  stack.ai.on({}, { status: 500 });
  await fails(call({}), OpenAI.InternalServerError, 502);
});

test('an error after the first content breaks the stream off', async () => {
  stack.ai.on({}, { errorAfter: 2, gap: 5 });
  const seen = [];
  await assert.rejects(async () => {
    for await (const chunk of await client.chat.completions.create(ask({ stream: true }))) seen.push(chunk.choices[0]?.delta.content ?? '');
  }, OpenAI.APIError);
  assert.equal(seen.join(''), 'You said:');
});

test('quota: the client is told to wait', async () => {
  const poor = await tenant(stack, { limits: { max_ai_requests_per_month: 1 } });
  const { key: theirs } = await withApiKey(stack, poor.users.developer, poor.id);
  const limited = new OpenAI({ apiKey: theirs, baseURL: `${stack.url}/v1`, maxRetries: 0 });
  await limited.chat.completions.create(ask());
  await fails(limited.chat.completions.create(ask()), OpenAI.RateLimitError, 429);
});
