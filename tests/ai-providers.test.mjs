// Every provider through the running worker: what it is sent (the fake refuses what is not as documented), and
// what its answers become.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { eventsOf, openMesh, says, streams, tenant } from './support/ai.mjs';
import { good, refused, refusedFields } from './support/api.mjs';

/** Of each provider one or more models, for what differs between them. */
const MODELS = [
  ['openai', 'gpt-4o'], ['openai', 'gpt-5.4-mini'], ['openai', 'gpt-6-luna'],
  ['groq', 'openai/gpt-oss-20b'], ['groq', 'qwen/qwen3.6-27b'],
  ['deepseek', 'deepseek-flash'],
  ['anthropic', 'claude-sonnet-4-6'], ['anthropic', 'claude-opus-5-5'],
  ['gemini', 'gemini-3.8-flash'], ['gemini', 'gemini-2.5-flash'],
  ['local', 'llama3.2'],
];
const PROVIDERS = [...new Set(MODELS.map(([provider]) => provider))];
const SCHEMALESS = { capabilities: { streaming: true, json_mode: true, function_calling: true, vision: true } };

let stack;
let home;
before(async () => {
  stack = await openMesh({
    keys: Object.fromEntries(PROVIDERS.map((name) => [name, [`key-${name}`]])),
    models: MODELS.map(([provider, name]) => [provider, name, provider === 'deepseek' || name.startsWith('qwen') ? SCHEMALESS : {}]),
  });
  home = await tenant(stack, { limits: { max_ai_requests_per_month: -1 } });
});
beforeEach(() => stack.ai.clear());
after(() => stack?.stop());

const chat = (provider, model, body) => home.as.developer('POST', '/api/ai/chat', { body: { provider, model, fallback: false, ...body } });
const stream = async (provider, model, body) => {
  const response = await streams(stack, await home.token('developer'), { provider, model, fallback: false, ...body });
  assert.equal(response.status, 200, response.status === 200 ? '' : await response.text());
  return eventsOf(response);
};
const text = (events) => events.filter(({ event }) => event === 'delta').map(({ data }) => data.content ?? '').join('');
const sent = () => stack.ai.calls.at(-1).body;

const weather = {
  type: 'function',
  function: {
    name: 'weather', description: 'The weather of a city', strict: true,
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
};
const person = {
  type: 'json_schema',
  json_schema: {
    name: 'person', strict: true,
    schema: { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 7 } }, required: ['name', 'age'], additionalProperties: false },
  },
};
const PIXEL = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

for (const [provider, model] of MODELS) {
  const local = provider === 'local';
  const counted = { input: 1_000, cached: local ? undefined : 400, output: 60, reasoning: local ? undefined : 25 };
  const rules = [{ role: 'system', content: 'Be kind.' }, { role: 'developer', content: 'Be short.' }, ...says('One two three')];
  const every = { temperature: 1.4, top_p: 0.9, max_tokens: 500, stop: ['END'], seed: 7 };

  describe(`${provider} ${model}`, () => {
    test('an answer with everything that can be set, its tokens and its cost', async () => {
      stack.ai.on({}, { usage: { input: 1_000, cached: local ? 0 : 400, output: 60, reasoning: local ? 0 : 25 } });
      const answer = good(await chat(provider, model, { messages: rules, ...every }));
      assert.equal(answer.message.content, 'You said: One two three');
      assert.deepEqual([answer.provider, answer.model, answer.finish_reason], [provider, model, 'stop']);
      // Anthropic tells of thinking only where there was some, and Ollama of neither.
      assert.deepEqual(answer.usage, JSON.parse(JSON.stringify(counted)));
      assert.equal(answer.cost_micro_usd, 1_000 + 2 * 60);
      assert.deepEqual(stack.ai.problems, []);
    });

    test('the same as a stream', async () => {
      stack.ai.on({}, { usage: { input: 1_000, cached: local ? 0 : 400, output: 60, reasoning: local ? 0 : 25 } });
      const events = await stream(provider, model, { messages: rules, ...every });
      assert.equal(text(events), 'You said: One two three');
      const { event, data } = events.at(-1);
      assert.deepEqual([event, data.message.content, data.finish_reason], ['end', 'You said: One two three', 'stop']);
      assert.deepEqual(data.usage, JSON.parse(JSON.stringify(counted)));
      assert.ok(events.filter((it) => it.event === 'delta').length >= 3);
      assert.deepEqual(stack.ai.problems, []);
    });

    test('as many tokens as it may have', async () => {
      const answer = good(await chat(provider, model, { messages: says('One two three'), max_tokens: 3 }));
      assert.deepEqual([answer.message.content, answer.finish_reason], ['You said: One', 'length']);
    });

    for (const choice of ['auto', 'required', { type: 'function', function: { name: 'weather' } }]) {
      const named = choice.function ? 'named' : choice;
      test(`functions are called and answered, whole and as a stream: ${named}`, async () => {
        const question = says('The weather in Lima?');
        const ask = { messages: question, tools: [weather], tool_choice: choice, parallel_tool_calls: false };
        stack.ai.on({}, { thought: 'hm' });
        const { message, finish_reason: finish } = good(await chat(provider, model, ask));
        assert.equal(finish, 'tool_calls');
        assert.deepEqual(message.tool_calls.map(({ type, function: it }) => [type, it]), [['function', { name: 'weather', arguments: '{"city":"text"}' }]]);
        const events = await stream(provider, model, ask);
        const deltas = events.flatMap(({ data }) => data.tool_calls ?? []);
        assert.equal(deltas.map((it) => it.arguments).join(''), '{"city":"text"}');
        assert.deepEqual([deltas[0].name, events.at(-1).data.finish_reason], ['weather', 'tool_calls']);
        const id = message.tool_calls[0].id;
        const results = [...question, message, { role: 'tool', tool_call_id: id, content: 'sunny' }];
        const answer = good(await chat(provider, model, { messages: results, tools: [weather] }));
        assert.equal(answer.message.content, 'The tools say: sunny');
        // Whoever lost what belongs to the call may ask on as well.
        const { replay, ...bare } = message;
        const more = [...question, bare, { role: 'tool', tool_call_id: id, content: '{"sky":"blue"}' }];
        assert.match(good(await chat(provider, model, { messages: more, tools: [weather] })).message.content, /blue/);
        assert.deepEqual(stack.ai.problems, []);
      });
    }

    test('JSON, free and of a schema, whole and as a stream', async () => {
      const free = good(await chat(provider, model, { messages: says('Hello'), response_format: { type: 'json_object' } }));
      assert.equal(typeof JSON.parse(free.message.content), 'object');
      // Where it can only be asked for in words, the fake takes no notice of the schema.
      const ask = { messages: says('Who?'), response_format: person };
      for (const content of [good(await chat(provider, model, ask)).message.content, text(await stream(provider, model, ask))]) {
        const made = JSON.parse(content);
        if ('name' in made) assert.deepEqual(made, { name: 'text', age: 7 });
        else assert.match(JSON.stringify(sent()), /additionalProperties/);
      }
      const both = { ...ask, tools: [weather], messages: says('Hello') };
      good(await chat(provider, model, both));
      assert.deepEqual(stack.ai.problems, []);
    });

    test('an image', async () => {
      const content = [{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url: PIXEL } }];
      const answer = good(await chat(provider, model, { messages: [{ role: 'user', content }] }));
      assert.equal(answer.message.content, 'You said: What is this?');
      assert.ok(JSON.stringify(sent()).includes(PIXEL.split(',')[1]));
      assert.deepEqual(stack.ai.problems, []);
    });
  });
}

test('an image by its URL: passed on, or fetched for those that take only images themselves', async (t) => {
  const bytes = Buffer.from(PIXEL.split(',')[1], 'base64');
  const answers = { '/a.png': [200, 'image/png', bytes], '/page': [200, 'text/html', 'x'], '/gone.png': [404, 'image/png', 'x'] };
  const server = http.createServer(({ url }, response) => {
    const [status, type, body] = answers[url];
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const ask = (provider, model, url) => chat(provider, model, {
    messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url } }] }],
  });
  const there = 'https://images.example.com/a.png?signature=abc';
  for (const [provider, model] of [['openai', 'gpt-4o'], ['anthropic', 'claude-opus-5-5'], ['groq', 'qwen/qwen3.6-27b']]) {
    good(await ask(provider, model, there));
    assert.ok(JSON.stringify(sent()).includes(there));
  }
  const here = `http://127.0.0.1:${server.address().port}`;
  for (const [provider, model] of [['gemini', 'gemini-3.8-flash'], ['local', 'llama3.2']]) {
    good(await ask(provider, model, `${here}/a.png`));
    assert.ok(JSON.stringify(sent()).includes(bytes.toString('base64')));
    stack.ai.calls.length = 0;
    for (const path of ['/page', '/gone.png']) refused(await ask(provider, model, here + path), 422, 'PROVIDER_REJECTED');
    assert.equal(stack.ai.calls.length, 0);
  }
  for (const url of ['ftp://example.com/a.png', 'data:image/svg+xml;base64,AAAA', 'https://']) {
    refusedFields(await ask('openai', 'gpt-4o', url), 'messages[0].content[1].image_url.url');
  }
  assert.deepEqual(stack.ai.problems, []);
});

test('held back: the reason is content_filter, whatever the provider calls it', async () => {
  stack.ai.on({}, { text: '', finish: 'content_filter' });
  for (const [provider, model] of [['openai', 'gpt-4o'], ['anthropic', 'claude-opus-5-5'], ['gemini', 'gemini-3.8-flash']]) {
    assert.equal(good(await chat(provider, model, { messages: says('x') })).finish_reason, 'content_filter', provider);
  }
  stack.ai.clear();
  stack.ai.on({}, { blocked: true });
  const blocked = good(await chat('gemini', 'gemini-3.8-flash', { messages: says('x') }));
  assert.deepEqual([blocked.finish_reason, blocked.message.content, blocked.usage], ['content_filter', '', null]);
  // What nobody counted costs an unknown amount.
  assert.equal(blocked.cost_micro_usd, null);
  stack.ai.clear();
  stack.ai.on({}, { refusal: 'I would rather not.' });
  const declined = good(await chat('openai', 'gpt-4o', { messages: says('x') }));
  assert.equal(declined.message.refusal, 'I would rather not.');
});

test('what a request carries is what is documented, and the key is only where it belongs', async () => {
  for (const [provider, model] of MODELS) {
    good(await chat(provider, model, { messages: says('x') }));
    const { headers, body } = stack.ai.calls.at(-1);
    const where = Object.entries(headers).filter(([, value]) => value.includes(`key-${provider}`)).map(([name]) => name);
    const expected = { anthropic: 'x-api-key', gemini: 'x-goog-api-key' }[provider] ?? 'authorization';
    assert.deepEqual(where, [expected]);
    assert.ok(!JSON.stringify(body).includes('key-'));
  }
});
