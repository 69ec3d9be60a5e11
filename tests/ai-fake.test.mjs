// The fake provider speaks as the documentation of the six says, and refuses what they refuse.

import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import { startAiProvider } from './fakes/ai-provider.mjs';

const ai = await startAiProvider();
after(() => ai.close());
afterEach(() => ai.clear());

const tool = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };

/** How each is asked: path, headers, and the body of a question with everything that it takes. */
const ASK = {
  openai: {
    path: '/chat/completions', headers: { authorization: 'Bearer k' },
    body: {
      model: 'gpt-4o', messages: [{ role: 'system', content: 'Be kind.' }, { role: 'user', content: 'One two three', name: 'ana' }],
      temperature: 0.5, top_p: 1, max_completion_tokens: 50, stop: ['END'], seed: 1,
    },
    stream: { stream: true, stream_options: { include_usage: true } },
    tools: { tools: [{ type: 'function', function: { name: 'weather', description: 'd', parameters: tool, strict: true } }], tool_choice: 'required' },
  },
  anthropic: {
    path: '/messages', headers: { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
    body: { model: 'claude-sonnet-4-6', max_tokens: 50, system: 'Be kind.', messages: [{ role: 'user', content: [{ type: 'text', text: 'One two three' }] }], temperature: 0.5 },
    stream: { stream: true },
    tools: { tools: [{ name: 'weather', input_schema: tool }], tool_choice: { type: 'any' } },
  },
  gemini: {
    path: '/models/gemini-3.8-flash:generateContent', streamPath: '/models/gemini-3.8-flash:streamGenerateContent?alt=sse', headers: { 'x-goog-api-key': 'k' },
    body: {
      contents: [{ role: 'user', parts: [{ text: 'One two three' }] }], systemInstruction: { parts: [{ text: 'Be kind.' }] },
      generationConfig: { temperature: 0.5, topP: 1, maxOutputTokens: 50, seed: 1 },
    },
    stream: {},
    tools: { tools: [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: tool }] }], toolConfig: { functionCallingConfig: { mode: 'ANY' } } },
  },
  local: {
    path: '/api/chat', headers: {},
    body: { model: 'qwen3', stream: false, messages: [{ role: 'system', content: 'Be kind.' }, { role: 'user', content: 'One two three' }], options: { temperature: 0.5, num_predict: 50 } },
    stream: { stream: true },
    tools: { tools: [{ type: 'function', function: { name: 'weather', parameters: tool } }] },
  },
};
ASK.groq = { ...ASK.openai, body: { ...ASK.openai.body, model: 'openai/gpt-oss-20b', messages: [{ role: 'user', content: 'One two three' }] }, stream: { stream: true } };
const { max_completion_tokens: most, seed, ...common } = ASK.openai.body;
ASK.deepseek = {
  ...ASK.openai, body: { ...common, model: 'deepseek-flash', max_tokens: most },
  tools: { ...ASK.openai.tools, thinking: { type: 'disabled' } },
};

async function ask(provider, more = {}, { headers, path } = {}) {
  const { path: usual, streamPath, headers: own, body, stream } = ASK[provider];
  const streams = more === stream;
  const response = await fetch(`${ai.baseUrls[provider]}${path ?? ((streams && streamPath) || usual)}`, {
    method: 'POST', headers: { 'content-type': 'application/json', ...own, ...headers }, body: JSON.stringify({ ...body, ...more }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
const asked = async (...question) => JSON.parse((await ask(...question)).text);
/** The chunks of a stream. */
const chunks = (text) => text.split('\n').map((line) => line.replace(/^data: /, '').trim()).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));

describe('a whole answer', () => {
  for (const provider of ['openai', 'groq', 'deepseek']) {
    test(provider, async () => {
      const { choices: [choice], usage, object } = await asked(provider);
      assert.equal(object, 'chat.completion');
      assert.deepEqual([choice.message.role, choice.message.content, choice.finish_reason], ['assistant', 'You said: One two three', 'stop']);
      assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
      const called = (await asked(provider, ASK[provider].tools)).choices[0];
      assert.equal(called.finish_reason, 'tool_calls');
      assert.deepEqual(called.message.tool_calls, [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"text"}' } }]);
    });
  }

  test('deepseek counts what was cached and what was not', async () => {
    ai.on({ provider: 'deepseek' }, { usage: { input: 10, cached: 4 } });
    const { usage } = await asked('deepseek');
    assert.deepEqual([usage.prompt_tokens, usage.prompt_cache_hit_tokens, usage.prompt_cache_miss_tokens], [10, 4, 6]);
  });

  test('anthropic', async () => {
    ai.on({}, { usage: { input: 10, cached: 4, output: 9, reasoning: 2 } });
    const { content, stop_reason: reason, usage } = await asked('anthropic');
    assert.deepEqual([content, reason], [[{ type: 'text', text: 'You said: One two three' }], 'end_turn']);
    assert.deepEqual(usage, { input_tokens: 6, cache_read_input_tokens: 4, cache_creation_input_tokens: 0, output_tokens: 9, output_tokens_details: { thinking_tokens: 2 } });
    const called = await asked('anthropic', ASK.anthropic.tools);
    assert.deepEqual([called.content, called.stop_reason], [[{ type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'text' } }], 'tool_use']);
  });

  test('gemini', async () => {
    ai.on({}, { usage: { input: 10, cached: 4, output: 9, reasoning: 2 } });
    const { candidates: [candidate], usageMetadata: usage, responseId } = await asked('gemini');
    assert.deepEqual([candidate.content, candidate.finishReason], [{ role: 'model', parts: [{ text: 'You said: One two three' }] }, 'STOP']);
    assert.ok(responseId);
    assert.deepEqual(usage, { promptTokenCount: 10, candidatesTokenCount: 7, thoughtsTokenCount: 2, totalTokenCount: 19, cachedContentTokenCount: 4 });
    const called = (await asked('gemini', ASK.gemini.tools)).candidates[0];
    assert.deepEqual(called.content.parts, [{ functionCall: { name: 'weather', args: { city: 'text' } }, thoughtSignature: 'sig-1' }]);
    assert.equal(called.finishReason, 'STOP');
  });

  test('local', async () => {
    const { message, done, done_reason: reason, eval_count: out } = await asked('local');
    assert.deepEqual([message, done, reason, out], [{ role: 'assistant', content: 'You said: One two three' }, true, 'stop', 5]);
    const called = await asked('local', { ...ASK.local.tools, messages: [{ role: 'user', content: 'weather?' }] });
    assert.deepEqual(called.message.tool_calls, [{ id: 'call_1', function: { index: 0, name: 'weather', arguments: { city: 'text' } } }]);
    ai.on({}, { usage: { input: 0 } });
    assert.equal('prompt_eval_count' in await asked('local'), false);
  });
});

describe('a stream', () => {
  test('openai, groq and deepseek end with what was used and [DONE]', async () => {
    for (const provider of ['openai', 'groq', 'deepseek']) {
      ai.on({ provider: 'deepseek' }, { keepAlive: 3 });
      const { headers, text } = await ask(provider, ASK[provider].stream);
      assert.match(headers.get('content-type'), /^text\/event-stream/);
      assert.ok(text.endsWith('data: [DONE]\n\n'));
      assert.equal(provider === 'deepseek', text.startsWith(': keep-alive\n\n'));
      const all = chunks(text);
      assert.equal(all.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), 'You said: One two three');
      if (provider === 'groq') {
        assert.ok(all.at(-1).x_groq.usage.prompt_tokens);
        assert.equal(all.at(-1).choices[0].finish_reason, 'stop');
      } else {
        assert.deepEqual(all.at(-1).choices, []);
        assert.ok(all.at(-1).usage.prompt_tokens);
        assert.equal(all.at(-2).choices[0].finish_reason, 'stop');
      }
      assert.equal(provider === 'openai', 'obfuscation' in all[0]);
    }
    ai.on({}, { calls: [{ name: 'weather', arguments: { city: 'Lima' } }] });
    const deltas = chunks((await ask('openai', ASK.openai.stream)).text).flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    assert.deepEqual(deltas[0], { index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } });
    assert.equal(deltas.map((it) => it.function.arguments).join(''), '{"city":"Lima"}');
    assert.ok(deltas.slice(1).every((it) => it.id === undefined));
  });

  test('openai tells nothing that was not asked for', async () => {
    const { text } = await ask('openai', { stream: true });
    assert.ok(chunks(text).every((chunk) => !('usage' in chunk)));
  });

  test('anthropic', async () => {
    ai.on({}, { text: 'One two', calls: [{ name: 'a', arguments: { b: 1 } }, { name: 'c' }], thought: 'hm' });
    const { text } = await ask('anthropic', ASK.anthropic.stream);
    const all = chunks(text);
    for (const [, name, data] of text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)) assert.equal(JSON.parse(data).type, name);
    assert.deepEqual([...new Set(all.map(({ type }) => type))], [
      'message_start', 'ping', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop',
    ]);
    assert.ok(all[0].message.usage.input_tokens);
    assert.deepEqual(all.filter(({ type }) => type === 'content_block_start').map((it) => [it.index, it.content_block.type]), [
      [0, 'thinking'], [1, 'text'], [2, 'tool_use'], [3, 'tool_use'],
    ]);
    const json = all.filter((it) => it.index === 2 && it.delta).map((it) => it.delta.partial_json).join('');
    assert.deepEqual([json, all.filter((it) => it.index === 3 && it.delta).length], ['{"b":1}', 0]);
    assert.deepEqual([all.at(-2).delta.stop_reason, all.at(-2).usage.output_tokens], ['tool_use', 12]);
  });

  test('gemini ends at its end', async () => {
    const { text } = await ask('gemini', ASK.gemini.stream);
    assert.ok(!text.includes('[DONE]') && !text.includes('event:'));
    const all = chunks(text);
    assert.equal(all.map(({ candidates: [{ content }] }) => content.parts.map((it) => it.text).join('')).join(''), 'You said: One two three');
    assert.equal(all.at(-1).candidates[0].finishReason, 'STOP');
  });

  test('local is lines of JSON', async () => {
    const { headers, text } = await ask('local', ASK.local.stream);
    assert.equal(headers.get('content-type'), 'application/x-ndjson');
    const all = text.trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(all.map(({ message }) => message.content).join(''), 'You said: One two three');
    assert.deepEqual(all.map(({ done }) => done), [false, false, false, false, false, true]);
    assert.ok(all.at(-1).prompt_eval_count && all.at(-1).eval_count);
  });
});

describe('what it refuses', () => {
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
  const user = { role: 'user', content: 'x' };
  const open = { type: 'object', properties: { a: { type: 'string' } } };
  const held = (schema) => ({ response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } } });
  const json = { response_format: { type: 'json_object' } };
  const oldGemini = { path: '/models/gemini-2.5-pro:generateContent' };
  for (const [provider, what, more, options] of [
    ['openai', 'an empty list', { messages: [] }],
    ['openai', 'a field it has not', { n: 2 }],
    ['openai', 'the old name of the most tokens', { max_tokens: 5 }],
    ['openai', 'a role it has not', { messages: [{ role: 'robot', content: 'x' }] }],
    ['openai', 'a call without a result', { messages: [user, { role: 'assistant', content: null, tool_calls: [call] }, user] }],
    ['openai', 'a result without a call', { messages: [user, { role: 'tool', tool_call_id: 'c', content: 'x' }] }],
    ['openai', 'arguments that are no text', { messages: [user, { role: 'assistant', content: null, tool_calls: [{ ...call, function: { name: 'f', arguments: {} } }] }, { role: 'tool', tool_call_id: 'c', content: '' }] }],
    ['openai', 'JSON mode without the word', json],
    ['openai', 'a strict schema that is open', held(open)],
    ['openai', 'a temperature while it thinks', { model: 'gpt-5.4-mini' }],
    ['openai', 'tools while it thinks', { model: 'gpt-6-luna', temperature: undefined, top_p: undefined, ...ASK.openai.tools }],
    ['openai', 'a request without a key', {}, { headers: { authorization: '' } }],
    ['openai', 'another type of content', {}, { headers: { 'content-type': 'text/plain' } }],
    ['groq', 'a name of a speaker', { messages: [{ ...user, name: 'ana' }] }],
    ['groq', 'stream_options', { stream: true, stream_options: { include_usage: true } }],
    ['groq', 'a schema in a stream', { ...held(tool), stream: true }],
    ['groq', 'a schema for a model that has none', { ...held(tool), model: 'qwen/qwen3.6-27b' }],
    ['deepseek', 'the new name of the most tokens', { max_completion_tokens: 5 }],
    ['deepseek', 'a schema', held(tool)],
    ['deepseek', 'JSON mode without the word', json],
    ['deepseek', 'a forced choice while it thinks', { ...ASK.openai.tools }],
    ['deepseek', 'calls without their thoughts', { messages: [user, { role: 'assistant', content: '', tool_calls: [call] }, { role: 'tool', tool_call_id: 'c', content: '' }] }],
    ['deepseek', 'an image', { model: 'deepseek-v4-pro', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a.example/b.png' } }] }] }],
    ['anthropic', 'no version', {}, { headers: { 'anthropic-version': '' } }],
    ['anthropic', 'no max_tokens', { max_tokens: undefined }],
    ['anthropic', 'a system message', { messages: [{ role: 'system', content: 'x' }] }],
    ['anthropic', 'two messages in a row', { messages: [user, user] }],
    ['anthropic', 'a temperature above 1', { temperature: 1.5 }],
    ['anthropic', 'a temperature for its newest', { model: 'claude-opus-5-5' }],
    ['anthropic', 'a forced choice for its newest', { model: 'claude-opus-5-5', temperature: undefined, ...ASK.anthropic.tools }],
    ['anthropic', 'an answer that has begun', { model: 'claude-sonnet-5-5', temperature: undefined, messages: [user, { role: 'assistant', content: 'y' }] }],
    ['anthropic', 'a use without a result', { messages: [user, { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: {} }] }, user] }],
    ['anthropic', 'a result after a text', { messages: [user, { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: {} }] }, { role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'tool_result', tool_use_id: 'c', content: 'y' }] }] }],
    ['anthropic', 'a format it has not', { response_format: { type: 'json_object' } }],
    ['gemini', 'the key in the wrong place', {}, { headers: { 'x-goog-api-key': '', authorization: 'Bearer k' } }],
    ['gemini', 'a role it has not', { contents: [{ role: 'assistant', parts: [{ text: 'x' }] }] }],
    ['gemini', 'JSON beside tools, up to 2.5', { ...ASK.gemini.tools, generationConfig: { responseMimeType: 'application/json' } }, oldGemini],
    ['gemini', 'an image by its URL', { contents: [{ role: 'user', parts: [{ fileData: { fileUri: 'https://a.example/b.png' } }] }] }],
    ['gemini', 'a call without a signature', { contents: [{ role: 'user', parts: [{ text: 'x' }] }, { role: 'model', parts: [{ functionCall: { name: 'f', args: {} } }] }, { role: 'user', parts: [{ functionResponse: { name: 'f', response: {} } }] }] }],
    ['gemini', 'a response that is no object', { contents: [{ role: 'user', parts: [{ functionResponse: { name: 'f', response: 'x' } }] }] }],
    ['local', 'silence about the stream', { stream: undefined }],
    ['local', 'a choice', { ...ASK.local.tools, tool_choice: 'auto' }],
    ['local', 'an image with its prefix', { messages: [{ ...user, images: ['data:image/png;base64,AAAA'] }] }],
    ['local', 'arguments that are a text', { messages: [user, { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }] }],
  ]) {
    test(`${provider}: ${what}`, async () => {
      const { status, text } = await ask(provider, more, options);
      assert.equal(status, 400, text);
      assert.equal(typeof (JSON.parse(text).error.message ?? JSON.parse(text).error), 'string');
      assert.ok(ai.problems.length > 0);
    });
  }
});

describe('how it misbehaves', () => {
  test('errors in the words of each', async () => {
    ai.on({}, { status: 429, code: 'insufficient_quota', retryAfter: 7 });
    assert.deepEqual((await asked('openai')).error, { message: 'Something is wrong.', type: 'insufficient_quota', param: null, code: 'insufficient_quota' });
    assert.equal((await ask('groq')).headers.get('retry-after'), '7');
    assert.deepEqual((await asked('local')), { error: 'Something is wrong.' });
    ai.on({}, { status: 529 });
    assert.equal((await asked('anthropic')).error.type, 'overloaded_error');
    ai.on({}, { status: 400, code: 'API_KEY_INVALID' });
    const { error } = await asked('gemini');
    assert.deepEqual([error.status, error.details[0].reason], ['INVALID_ARGUMENT', 'API_KEY_INVALID']);
    ai.on({}, { status: 429, quota: 'PerDay', retryDelay: '7s' });
    const { error: { details } } = await asked('gemini');
    assert.match(details[0].violations[0].quotaId, /PerDay/);
    assert.equal(details[1].retryDelay, '7s');
    assert.deepEqual(ai.problems, []);
  });

  test('only where it is meant, the newest rule first, and so often', async () => {
    ai.on({ provider: 'openai' }, { text: 'always' }).on({ key: 'k', model: 'gpt-4o' }, (call, nth) => ({ text: `${call.key} ${nth}` }), { times: 2 });
    const texts = [];
    for (let nth = 0; nth < 3; nth += 1) texts.push((await asked('openai')).choices[0].message.content);
    assert.deepEqual(texts, ['k 0', 'k 1', 'always']);
    assert.equal((await asked('groq')).choices[0].message.content, 'You said: One two three');
    assert.deepEqual(ai.calls.map(({ provider, key, stream, status }) => [provider, key, stream, status]), [
      ['openai', 'k', false, 200], ['openai', 'k', false, 200], ['openai', 'k', false, 200], ['groq', 'k', false, 200],
    ]);
  });

  test('streams that end badly', async () => {
    for (const provider of Object.keys(ASK)) {
      ai.on({}, { errorAfter: 3, errorStatus: 503 });
      const { text } = await ask(provider, ASK[provider].stream);
      assert.ok(/error/.test(text) && text.includes('One') && !text.includes('two'), text);
      ai.on({}, { cut: 3 });
      await assert.rejects(ask(provider, ASK[provider].stream));
      ai.on({}, { garbage: true });
      const garbage = await ask(provider, ASK[provider].stream);
      assert.throws(() => chunks(garbage.text), SyntaxError);
    }
  });

  test('bodies that are none', async () => {
    ai.on({}, { html: true });
    const { headers, text } = await ask('openai');
    assert.match(headers.get('content-type'), /html/);
    assert.match(text, /^<!doctype html>/);
    ai.on({}, { garbage: true });
    await assert.rejects(asked('openai'), SyntaxError);
    ai.on({}, { huge: 1_000_000 });
    assert.ok((await ask('openai')).text.length > 1_000_000);
    ai.on({}, { drop: true });
    await assert.rejects(ask('openai'));
    ai.on({}, { dribble: 1 });
    assert.equal((await asked('openai')).choices[0].message.content, 'You said: One two three');
  });

  test('silence and endlessness end with whoever asks', async () => {
    for (const behaviour of [{ hang: true }, { endless: true }]) {
      ai.clear();
      ai.on({}, behaviour);
      const { path, headers, body, stream } = ASK.openai;
      const asking = fetch(`${ai.baseUrls.openai}${path}`, {
        method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ ...body, ...stream }),
        signal: AbortSignal.timeout(200),
      }).then((response) => response.text());
      await assert.rejects(asking);
      while (!ai.calls[0].aborted) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  test('told by another process', async () => {
    const control = (method, body) => fetch(`${ai.url}/control`, { method, body: body && JSON.stringify(body) }).then((response) => response.json());
    await control('POST', { match: { model: 'gpt-4o' }, behaviour: { status: 401 }, times: 1 });
    assert.equal((await ask('openai')).status, 401);
    assert.equal((await ask('openai')).status, 200);
    assert.deepEqual((await control('GET')).problems, []);
    await control('DELETE');
    assert.equal(ai.calls.length, 0);
  });

  test('lists of models, with and without a good key', async () => {
    for (const provider of Object.keys(ASK)) {
      const list = (headers) => fetch(`${ai.baseUrls[provider]}${provider === 'local' ? '/api/tags' : '/models'}`, { headers });
      assert.equal((await list(ASK[provider].headers)).status, 200);
      if (provider !== 'local') assert.equal((await list({})).status, 401);
    }
  });
});

test('a format is kept, and results are taken up', async () => {
  const schema = { type: 'object', properties: { a: { type: 'integer', minimum: 3 }, b: { enum: ['x', 'y'] } }, required: ['a', 'b'], additionalProperties: false };
  const body = await asked('openai', { response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } } });
  assert.deepEqual(JSON.parse(body.choices[0].message.content), { a: 3, b: 'x' });
  const results = await asked('openai', {
    messages: [
      { role: 'user', content: 'x' }, { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] },
      { role: 'tool', tool_call_id: 'c', content: 'sunny' },
    ],
  });
  assert.equal(results.choices[0].message.content, 'The tools say: sunny');
  assert.equal((await asked('openai', { max_completion_tokens: 2 })).choices[0].finish_reason, 'length');
  assert.deepEqual(ai.problems, []);
});
