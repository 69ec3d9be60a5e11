// An answer piece by piece: what comes when, how it fails, and who pays when somebody leaves.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { counts } from './support/api.mjs';
import { eventsOf, eventuallyHolds, openMesh, says, streams, tenant, wholeRecords } from './support/ai.mjs';
import { signedIn } from './support/world.mjs';

let stack;
let home;
let token;
before(async () => {
  stack = await openMesh({
    keys: { openai: ['key-openai-1', 'key-openai-2'], anthropic: ['key-anthropic-1'], gemini: ['key-gemini-1'], local: ['any'] },
    models: [['openai', 'model-a'], ['anthropic', 'model-c'], ['gemini', 'model-g'], ['local', 'model-l']],
  });
  home = await tenant(stack);
  token = await home.token('developer');
  await (await signedIn(stack, home.users.developer))('POST', '/api/ai/chat', { body: { messages: says('warm') } });
});
beforeEach(() => stack.ai.clear());
after(async () => {
  assert.deepEqual(stack.ai.problems, []);
  await stack.stop();
  await stack.ai.close();
});

const text = (events) => events.filter(({ event }) => event === 'delta').map(({ data }) => data.content ?? '').join('');

test('every provider streams: start, pieces as they come, and an end with the whole', async () => {
  for (const model of ['model-a', 'model-c', 'model-g', 'model-l']) {
    stack.ai.on({ model }, { text: 'one two three four', gap: 60, usage: { input: 20, output: 8 } });
    const response = await streams(stack, token, { messages: says('count'), model });
    assert.equal(response.status, 200, model);
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    const events = await eventsOf(response);
    assert.equal(events[0].event, 'start');
    assert.equal(events[0].data.model, model);
    assert.equal(text(events), 'one two three four', model);
    const pieces = events.filter(({ event }) => event === 'delta');
    assert.ok(pieces.length >= 3, `${model}: ${pieces.length} pieces`);
    assert.ok(pieces.at(-1).at - pieces[0].at >= 60, `${model}: they came together`);
    const last = events.at(-1);
    assert.equal(last.event, 'end');
    assert.equal(last.data.message.content, 'one two three four');
    assert.deepEqual([last.data.usage.input, last.data.usage.output, last.data.cost_micro_usd], [20, 8, 36]);
    assert.equal(last.data.id, events[0].data.id);
  }
});

test('no statement before the first token, and three calls to objects', async () => {
  await eventuallyHolds(async () => {
    const response = await streams(stack, token, { messages: says('x'), model: 'model-a' });
    assert.deepEqual(counts(response), { db: 0, do: 3 });
    await eventsOf(response);
  });
});

test('what fails before its first content is asked elsewhere; what fails after it ends with an error', async () => {
  const mine = await tenant(stack);
  const caller = await mine.token('admin');
  stack.ai.on({ provider: 'openai' }, { errorAfter: 0 });
  const taken = await eventsOf(await streams(stack, caller, { messages: says('x'), model: 'model-a', retries: 3 }));
  assert.equal(taken[0].data.provider, 'anthropic');
  assert.equal(taken.at(-1).event, 'end');
  assert.ok(taken[0].data.attempts.length >= 3);
  for (const behaviour of [{ errorAfter: 2 }, { cut: 2 }]) {
    stack.ai.clear();
    stack.ai.on({}, { text: 'one two three four five', ...behaviour });
    const events = await eventsOf(await streams(stack, caller, { messages: says('x'), model: 'model-a' }));
    assert.ok(text(events).startsWith('one'), JSON.stringify(events));
    const last = events.at(-1);
    assert.equal(last.event, 'error', JSON.stringify(behaviour));
    assert.equal(last.data.code, 'PROVIDERS_FAILED');
    assert.ok(!events.some(({ event }) => event === 'end'));
    assert.equal(stack.ai.calls.length, 1, 'nobody else is asked once something was shown');
  }
  const records = await wholeRecords(stack, mine.license.id, 3);
  assert.deepEqual(records.map(({ status, counts: counted }) => [status, counted]), [['completed', 1], ['failed', 1], ['failed', 1]]);
  assert.ok(records[1].tokens_output > 0 && records[1].metadata.usage_estimated);
});

test('silence has limits: until the first token, and between two', async () => {
  stack.ai.on({ provider: 'openai' }, { hang: true });
  const quick = await eventsOf(await streams(stack, token, { messages: says('x'), model: 'model-a', first_token_ms: 300, retries: 3 }));
  assert.equal(quick[0].data.provider, 'anthropic');
  assert.equal(quick[0].data.attempts[0].outcome, 'timeout');
  stack.ai.clear();
  stack.ai.on({}, { text: 'one two three four', gap: 3_000 });
  const silent = await eventsOf(await streams(stack, token, { messages: says('x'), model: 'model-a', between_tokens_ms: 300 }));
  assert.equal(silent.at(-1).event, 'error');
  assert.equal(silent.at(-1).data.details.reason, 'timeout');
});

test('before the first content a failure is an answer with its status', async () => {
  stack.ai.on({}, { status: 500 });
  const response = await streams(stack, token, { messages: says('x'), model: 'model-g', fallback: false });
  assert.equal(response.status, 502);
  assert.equal((await response.json()).error.code, 'PROVIDERS_FAILED');
});

test('whoever leaves a stream ends the provider\'s call, and pays for what came', async () => {
  const mine = await tenant(stack);
  const caller = await mine.token('admin');
  stack.ai.on({}, { text: Array.from({ length: 400 }, (_, index) => `word${index}`).join(' '), gap: 50 });
  const leaving = new AbortController();
  const response = await streams(stack, caller, { messages: says('much'), model: 'model-a' }, { signal: leaving.signal });
  let seen = 0;
  await assert.rejects(eventsOf(response, ({ event }) => {
    if (event === 'delta') seen += 1;
    if (seen === 5) leaving.abort();
  }));
  await eventuallyHolds(() => assert.equal(stack.ai.calls[0].aborted, true));
  const [record] = await wholeRecords(stack, mine.license.id, 1);
  assert.deepEqual([record.status, record.error_code, record.counts], ['failed', 'CLIENT_GONE', 1]);
  assert.ok(record.tokens_output >= 3 && record.tokens_output < 400, String(record.tokens_output));
  assert.ok(record.cost_micro > 0);
  assert.match(record.output_raw, /^word0 word1/);
});

// The platform tells the worker that somebody left before the answer began; workerd alone does not, and the answer is
// charged as if it had been read.
test('whoever leaves before a whole answer is there pays for what it used, once', async () => {
  const mine = await tenant(stack, { limits: { max_concurrent_tasks: 1 } });
  const caller = await mine.token('admin');
  stack.ai.on({}, { text: 'nobody reads this', delay: 800 });
  for (const path of ['/api/ai/chat', '/v1/chat/completions']) {
    const place = stack.ai.calls.length;
    const leaving = new AbortController();
    const left = assert.rejects(streams(stack, caller, { messages: says('much'), model: 'model-a', stream: false }, { path, signal: leaving.signal }));
    await eventuallyHolds(() => assert.equal(stack.ai.calls.length, place + 1));
    leaving.abort();
    await left;
    await wholeRecords(stack, mine.license.id, place + 1);
  }
  const records = await wholeRecords(stack, mine.license.id, 2);
  for (const record of records) {
    assert.ok(record.status === 'completed' || record.error_code === 'CLIENT_GONE', JSON.stringify(record));
    assert.ok(record.counts === 1 && record.tokens_input > 0 && record.cost_micro > 0, JSON.stringify(record));
  }
});

test('functions come in pieces too', async () => {
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
  stack.ai.on({}, { calls: [{ name: 'weather', arguments: { city: 'Lugo' } }] });
  for (const model of ['model-a', 'model-c', 'model-g', 'model-l']) {
    const events = await eventsOf(await streams(stack, token, { messages: says('weather'), model, tools }));
    const pieces = events.filter(({ event }) => event === 'delta').flatMap(({ data }) => data.tool_calls ?? []);
    assert.equal(pieces[0].name, 'weather', model);
    assert.deepEqual(JSON.parse(pieces.map((piece) => piece.arguments).join('')), { city: 'Lugo' });
    assert.equal(events.at(-1).data.finish_reason, 'tool_calls');
  }
});

test('functions that had come are paid for too, by whoever leaves', async () => {
  const tools = [{ type: 'function', function: { name: 'write', parameters: { type: 'object', properties: { text: { type: 'string' } } } } }];
  for (const model of ['model-a', 'model-c']) {
    const mine = await tenant(stack);
    stack.ai.on({ model }, { calls: Array.from({ length: 100 }, () => ({ name: 'write', arguments: { text: 'a long story '.repeat(20) } })), gap: 40 });
    const leaving = new AbortController();
    const body = { messages: says('x'), model, tools, tool_choice: 'required' };
    const response = await streams(stack, await mine.token('developer'), body, { signal: leaving.signal });
    await assert.rejects(eventsOf(response, ({ data }) => data.tool_calls?.[0].index === 3 && leaving.abort()));
    const [record] = await wholeRecords(stack, mine.license.id, 1);
    assert.deepEqual([record.status, record.error_code], ['failed', 'CLIENT_GONE']);
    assert.ok(record.tokens_output > 3 * 60 && record.tokens_output < 100 * 60, `${model}: ${record.tokens_output} tokens`);
    assert.equal(record.output_json.tool_calls[0].function.name, 'write');
  }
});

test('what came of a stream that ends without its end counts', async () => {
  const mine = await tenant(stack);
  const chunk = (delta) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`;
  stack.ai.on({ model: 'model-a' }, { contentType: 'text/event-stream', body: chunk({ content: 'twelve ' }) + chunk({ content: 'words' }) });
  const events = await eventsOf(await streams(stack, await mine.token('developer'), { messages: says('x'), model: 'model-a' }));
  assert.equal(events.at(-1).data.details.reason, 'stream_cut');
  const [record] = await wholeRecords(stack, mine.license.id, 1);
  assert.deepEqual([record.status, record.output_raw, record.tokens_output], ['failed', 'twelve words', 3]);
});
