// Days on which providers fail: what each failure means, who is asked next, and what the caller is told.
//
// Each day has a tenant with keys of its own, so that no day knows of another.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventsOf, openMesh, says, streams, tenant } from './support/ai.mjs';
import { good, refused } from './support/api.mjs';

const MODELS = [
  ['openai', 'gpt-a', { aliases: ['three'] }], ['openai', 'gpt-b', { aliases: ['three'] }], ['anthropic', 'claude-a', { aliases: ['three'] }],
  ['gemini', 'gemini-3.8-flash'], ['groq', 'llama-a'], ['deepseek', 'deepseek-flash'], ['local', 'llama3.2'],
];
const NO_LIMITS = { max_ai_requests_per_month: -1, max_concurrent_tasks: -1 };

let stack;
before(async () => {
  stack = await openMesh({ keys: {}, models: MODELS });
});
after(async () => {
  await stack?.stop();
});

/** A morning: a tenant with these keys, `[provider, name, columns]`, the first one first. */
async function morning(keys) {
  stack.ai.clear();
  const home = await tenant(stack, { limits: NO_LIMITS });
  const ids = {};
  for (const [place, [provider, name, more]] of keys.entries()) {
    const body = { provider, key_name: name, key_value: `key-${name}`, priority: 100 - place, ...more };
    ids[name] = good(await home.as.admin('POST', '/api/ai/pool/keys', { body }), 201).id;
  }
  const state = async (name) => good(await home.as.admin('GET', '/api/ai/pool/stats')).keys.find(({ id }) => id === ids[name]);
  const ask = (body = {}) => home.as.developer('POST', '/api/ai/chat', { body: { messages: says('Hello'), model: 'gpt-a', fallback: false, ...body } });
  const stream = async (body = {}) => {
    const response = await streams(stack, await home.token('developer'), { messages: says('One two three four'), model: 'gpt-a', fallback: false, ...body });
    return response.status === 200 ? eventsOf(response) : response.json();
  };
  return { home, state, ask, stream };
}

/** Tells the provider what to do for one key. */
const key = (name, behaviour, limits) => stack.ai.on({ key: `key-${name}` }, behaviour, limits);
/** Which keys were used, and for which models. */
const keys = () => stack.ai.calls.map((call) => call.key.replace('key-', ''));
const models = () => stack.ai.calls.map((call) => call.model);
const outcomes = ({ attempts }) => attempts.map(({ outcome }) => outcome);
const text = (events) => events.filter(({ event }) => event === 'delta').map(({ data }) => data.content).join('');
const two = [['openai', 'a'], ['openai', 'b']];

const DAYS = {
  'A answers 401 and B works: the answer is from B after two calls, and A is disabled': async () => {
    const { ask, state } = await morning(two);
    key('a', { status: 401, code: 'invalid_api_key' });
    const answer = good(await ask());
    assert.deepEqual([answer.message.content, keys(), outcomes(answer)], ['You said: Hello', ['a', 'b'], ['invalid_key', 'answered']]);
    const { state: now, reason } = await state('a');
    assert.deepEqual([now, reason], ['disabled', 'invalid_key']);
    good(await ask());
    assert.deepEqual(keys(), ['a', 'b', 'b']);
  },

  'two models are gone (404): the next model answers, and no second key is wasted on them': async () => {
    const { ask } = await morning([['openai', 'a'], ['openai', 'b'], ['anthropic', 'c']]);
    stack.ai.on({ provider: 'openai' }, { status: 404, code: 'model_not_found' });
    const answer = good(await ask({ model: 'three', fallback: true }));
    assert.deepEqual([models(), answer.model, answer.provider], [['gpt-a', 'gpt-b', 'claude-a'], 'claude-a', 'anthropic']);
    assert.deepEqual(outcomes(answer), ['model_not_found', 'model_not_found', 'answered']);
    stack.ai.calls.length = 0;
    refused(await ask({ model: 'gpt-a', fallback: false }), 502, 'PROVIDERS_FAILED');
    assert.deepEqual(models(), ['gpt-a']);
  },

  'A has no quota left (429 insufficient_quota): B answers at once, and A is not used again': async () => {
    const { ask, state } = await morning(two);
    key('a', { status: 429, code: 'insufficient_quota', retryAfter: 1 });
    assert.deepEqual(outcomes(good(await ask())), ['no_balance', 'answered']);
    for (let more = 0; more < 3; more += 1) good(await ask());
    assert.deepEqual(keys(), ['a', 'b', 'b', 'b', 'b']);
    assert.equal((await state('a')).state, 'disabled');
  },

  'the question is wrong (400, 422, 413): nobody else is asked, and the caller hears what is wrong': async () => {
    const { ask } = await morning([['openai', 'a'], ['openai', 'b'], ['deepseek', 'c'], ['anthropic', 'd'], ['local', 'e']]);
    for (const [model, status] of [['gpt-a', 400], ['deepseek-flash', 422], ['claude-a', 413], ['llama3.2', 400]]) {
      stack.ai.clear();
      stack.ai.on({}, { status, message: 'The field x is wrong' });
      const details = refused(await ask({ model, fallback: true }), 422, 'PROVIDER_REJECTED');
      assert.equal(stack.ai.calls.length, 1, model);
      assert.equal(details.message, 'The field x is wrong');
    }
  },

  'a key is not valid and the status is 400 (Gemini): another key answers': async () => {
    const { ask, state } = await morning([['gemini', 'a'], ['gemini', 'b']]);
    key('a', { status: 400, code: 'API_KEY_INVALID' });
    const answer = good(await ask({ model: 'gemini-3.8-flash' }));
    assert.deepEqual([keys(), outcomes(answer)], [['a', 'b'], ['invalid_key', 'answered']]);
    assert.equal((await state('a')).state, 'disabled');
  },

  'weights −100 and 1: always the second': async () => {
    const { ask } = await morning([['openai', 'a', { priority: 0, weight: -100 }], ['openai', 'b', { priority: 0, weight: 1 }]]);
    for (let nth = 0; nth < 20; nth += 1) good(await ask());
    assert.deepEqual([...new Set(keys())], ['b']);
  },

  'weights 25 and 75: in this proportion over 400 calls, within 3 σ': async () => {
    const { ask } = await morning([['openai', 'a', { priority: 0, weight: 25 }], ['openai', 'b', { priority: 0, weight: 75 }]]);
    const off = async () => {
      stack.ai.calls.length = 0;
      for (let sent = 0; sent < 400; sent += 20) await Promise.all(Array.from({ length: 20 }, async () => good(await ask())));
      return Math.abs(keys().filter((name) => name === 'a').length - 100);
    };
    const threeSigma = 3 * Math.sqrt(400 * 0.25 * 0.75);
    // Chance goes beyond it once in 370 times, and twice in a row once in 137,000.
    assert.ok(await off() <= threeSigma || await off() <= threeSigma);
  },

  'a constant 500 with two retries: three calls, each with another key': async () => {
    const { ask } = await morning(['a', 'b', 'c', 'd', 'e'].map((name) => ['openai', name]));
    stack.ai.on({}, { status: 500 });
    const details = refused(await ask({ retries: 2 }), 502, 'PROVIDERS_FAILED');
    assert.deepEqual([keys(), outcomes(details)], [['a', 'b', 'c'], ['provider_error', 'provider_error', 'provider_error']]);
    assert.deepEqual(details.attempts.map(({ status }) => status), [500, 500, 500]);
  },

  'an error after three chunks: what came, then an error event, and no end': async () => {
    for (const [provider, model] of [['openai', 'gpt-a'], ['anthropic', 'claude-a'], ['gemini', 'gemini-3.8-flash'], ['local', 'llama3.2']]) {
      const { stream } = await morning([[provider, 'a'], [provider, 'b']]);
      stack.ai.on({}, { errorAfter: 3, errorStatus: 503, gap: 5 });
      const events = await stream({ model, fallback: true });
      assert.equal(text(events), 'You said: One', provider);
      assert.deepEqual([...new Set(events.map(({ event }) => event))], ['start', 'delta', 'error']);
      assert.equal(events.at(-1).data.code, 'PROVIDERS_FAILED');
      assert.equal(stack.ai.calls.length, 1);
    }
  },

  'a stream is cut: before its first content another key answers, after it comes an error event': async () => {
    const { stream } = await morning(two);
    key('a', { cut: 0 });
    const events = await stream();
    assert.equal(text(events), 'You said: One two three four');
    assert.deepEqual([events.at(-1).event, keys()], ['end', ['a', 'b']]);
    key('b', { cut: 2 });
    key('a', { cut: 2 });
    const cut = await stream();
    assert.deepEqual([text(cut), cut.at(-1).event], ['You said:', 'error']);
  },

  'an error before the first content of a stream: another key answers': async () => {
    const { stream } = await morning(two);
    key('a', { errorAfter: 0, keepAlive: 2 });
    const events = await stream();
    assert.deepEqual([events.at(-1).event, text(events)], ['end', 'You said: One two three four']);
    assert.deepEqual(outcomes(events[0].data), ['provider_error', 'answered']);
  },

  'everybody is silent: one deadline over all attempts, and nobody is asked after it': async () => {
    const { ask } = await morning(['a', 'b', 'c', 'd'].map((name) => ['openai', name]));
    stack.ai.on({}, { delay: 400, status: 500 });
    const details = refused(await ask({ deadline_ms: 600, retries: 5 }), 504, 'DEADLINE_EXCEEDED');
    assert.deepEqual(outcomes(details), ['provider_error', 'timeout']);
    assert.deepEqual(keys(), ['a', 'b']);
  },

  'all keys rest: 503, and Retry-After is that of the first to come back': async () => {
    const { ask, state } = await morning(two);
    key('a', { status: 429, retryAfter: 500 });
    key('b', { status: 429, retryAfter: 100 });
    const first = await ask();
    assert.equal(first.status, 503, first.text);
    assert.deepEqual(keys(), ['a', 'b']);
    const answer = await ask();
    refused(answer, 503, 'PROVIDERS_UNAVAILABLE');
    const seconds = Number(answer.headers.get('retry-after'));
    assert.ok(seconds > 50 && seconds <= 100, `${seconds}`);
    assert.deepEqual(keys(), ['a', 'b']);
    assert.deepEqual([(await state('a')).state, (await state('a')).reason], ['cooling', 'rate_limited']);
  },

  'there is no capacity (498, 503, 529): the key rests, and another one answers': async () => {
    for (const [provider, model, status] of [['groq', 'llama-a', 498], ['openai', 'gpt-a', 503], ['anthropic', 'claude-a', 529]]) {
      // Groq's keys share their limits unless they are known to be of two organizations.
      const { ask, state } = await morning(['a', 'b'].map((name) => [provider, name, { metadata: { quota_group: name } }]));
      key('a', { status, retryAfter: 60 });
      assert.deepEqual(outcomes(good(await ask({ model }))), ['overloaded', 'answered'], provider);
      assert.equal((await state('a')).state, 'cooling', provider);
    }
  },

  'keys that share a quota: what one has used up no sibling is asked for': async () => {
    const { ask } = await morning([['gemini', 'a', { metadata: { quota_group: 'project' } }], ['gemini', 'b', { metadata: { quota_group: 'project' } }]]);
    stack.ai.on({}, { status: 429, quota: 'PerDay', retryDelay: '7s' });
    const answer = await ask({ model: 'gemini-3.8-flash' });
    refused(answer, 503, 'PROVIDERS_UNAVAILABLE');
    assert.deepEqual(keys(), ['a']);
    // A day's quota comes back with the day, whatever the shorter delay says.
    assert.ok(Number(answer.headers.get('retry-after')) > 60, answer.headers.get('retry-after'));
  },

  'what is answered is no answer (HTML, garbage, another type, too much, nothing): another key is asked': async () => {
    for (const behaviour of [
      { html: true }, { garbage: true }, { contentType: 'text/plain' }, { huge: 20 * 2 ** 20 }, { cut: 0 }, { drop: true },
      { body: '' }, { body: { choices: [] } }, { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' },
    ]) {
      const { ask } = await morning(two);
      key('a', behaviour);
      const answer = good(await ask({ deadline_ms: 20_000 }));
      assert.deepEqual([keys(), answer.message.content], [['a', 'b'], 'You said: Hello'], JSON.stringify(behaviour));
    }
  },

  'a stream that is none (HTML, garbage, without end) and one that falls silent': async () => {
    for (const behaviour of [{ html: true }, { garbage: true }, { huge: 6 * 2 ** 20 }, { contentType: 'text/plain' }, { hang: true }]) {
      const { stream } = await morning(two);
      key('a', behaviour);
      const events = await stream({ first_token_ms: 1_500 });
      assert.deepEqual([events.at(-1).event, keys()], ['end', ['a', 'b']], JSON.stringify(behaviour));
    }
    const { stream } = await morning(two);
    key('a', { gap: 3_000 });
    const events = await stream({ between_tokens_ms: 500 });
    assert.deepEqual([text(events), events.at(-1).event], ['You', 'error']);
  },

  'DeepSeek has no balance (402), and its JSON is nothing but spaces': async () => {
    const { ask, state } = await morning([['deepseek', 'a'], ['deepseek', 'b'], ['deepseek', 'c']]);
    key('a', { status: 402 });
    key('b', { text: ' \n ' });
    const answer = good(await ask({ model: 'deepseek-flash', response_format: { type: 'json_object' }, messages: says('As JSON: hello') }));
    assert.deepEqual(outcomes(answer), ['no_balance', 'empty_answer', 'answered']);
    assert.equal((await state('a')).state, 'disabled');
  },

  'a slow dribble within the deadline is an answer': async () => {
    const { ask, stream } = await morning(two);
    stack.ai.on({}, { dribble: 1 });
    assert.equal(good(await ask()).message.content, 'You said: Hello');
    assert.equal(text(await stream()), 'You said: One two three four');
    assert.deepEqual(keys(), ['a', 'a']);
  },
};

for (const [name, day] of Object.entries(DAYS)) {
  test(name, async () => {
    await day();
    assert.deepEqual(stack.ai.problems, []);
  });
}

test('no key and no question of these days is in the log', () => {
  const log = stack.logs();
  assert.ok(!/key-[a-e]\b/.test(log) && !log.includes('One two three'));
});
