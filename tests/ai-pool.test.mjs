// The pools of keys while calls are made: who is tried, how often, and what is known of it afterwards.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { eventually, good, refused } from './support/api.mjs';
import { eventuallyHolds, openMesh, says, tenant } from './support/ai.mjs';
import { createOrganization } from './support/world.mjs';

let stack;
let ai;
let root;
before(async () => {
  stack = await openMesh({ keys: {}, models: [['openai', 'model-a'], ['groq', 'model-g'], ['deepseek', 'model-d'], ['anthropic', 'model-c'], ['gemini', 'model-m']] });
  ai = stack.ai;
  root = (await createOrganization(stack, { roles: ['super_admin'] })).as.super_admin;
});
beforeEach(() => ai.clear());
after(async () => {
  await stack?.stop();
  await ai?.close();
});

/** Adds a key whose value is its name. */
const addKey = async (as, provider, name, more = {}) => good(await as('POST', '/api/ai/pool/keys', {
  body: { provider, key_name: name, key_value: name, ...more },
}), 201);
const dropKey = async (as, { id }) => good(await as('DELETE', '/api/ai/pool/keys/{id}', { id }), 204);
const changeKey = async (as, { id }, body) => good(await as('PATCH', '/api/ai/pool/keys/{id}', { id, body }));
const ask = (home, model, text = 'Hello?', more = {}) => home.as.developer('POST', '/api/ai/chat', { body: { messages: says(text), model, ...more } });
const keysUsed = () => ai.calls.map(({ key }) => key);
const statsOf = async (as, query) => good(await as('GET', '/api/ai/pool/stats', { query }));
const stateOf = async (as, { id }) => (await statsOf(as)).keys.find((key) => key.id === id);

test('a cap of 5 with 10 at once is exactly 5, and a crash does not change that', async () => {
  const home = await tenant(stack);
  const key = await addKey(root, 'openai', 'capped-key', { rate_limit_rpm: 5 });
  ai.on({}, { delay: 50 });
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(home, 'model-a', 'x', { fallback: false })));
  assert.equal(answers.filter(({ status }) => status === 200).length, 5);
  assert.equal(ai.calls.length, 5);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    refused(answer, 503, 'PROVIDERS_UNAVAILABLE');
    const wait = Number(answer.headers.get('retry-after'));
    assert.ok(wait > 40 && wait <= 65, `${wait}`);
  }
  await stack.restart({ kill: 'SIGKILL' });
  refused(await ask(home, 'model-a', 'x', { fallback: false }), 503, 'PROVIDERS_UNAVAILABLE');
  assert.equal(ai.calls.length, 5);
  assert.equal((await stateOf(root, key)).requests_last_minute, 5);
  await dropKey(root, key);
});

test('an organization’s own keys come first and serve nobody else; the platform’s take over', async () => {
  const [home, other] = [await tenant(stack), await tenant(stack)];
  const platform = await addKey(root, 'openai', 'platform-key');
  const own = await addKey(home.as.admin, 'openai', 'own-key');
  for (let n = 0; n < 5; n += 1) {
    good(await ask(home, 'model-a'));
    good(await ask(other, 'model-a'));
  }
  assert.deepEqual(keysUsed(), Array(5).fill(['own-key', 'platform-key']).flat());
  ai.clear();
  ai.on({ key: 'own-key' }, { status: 401, code: 'invalid_api_key' });
  for (let n = 0; n < 3; n += 1) good(await ask(home, 'model-a'));
  // It was tried once, and is not used again.
  assert.deepEqual(keysUsed(), ['own-key', 'platform-key', 'platform-key', 'platform-key']);
  const { state, reason } = await stateOf(home.as.admin, own);
  assert.deepEqual([state, reason], ['disabled', 'invalid_key']);
  assert.equal((await stateOf(root, platform)).state, 'active');
  ai.clear();
  await changeKey(home.as.admin, own, { is_active: true });
  good(await ask(home, 'model-a'));
  assert.deepEqual(keysUsed(), ['own-key']);
  await dropKey(root, platform);
  await dropKey(home.as.admin, own);
});

test('who has no capacity rests for as long as its provider said, whatever comes afterwards', async () => {
  const home = await tenant(stack);
  const [first, second] = [await addKey(root, 'openai', 'first-key', { priority: 1 }), await addKey(root, 'openai', 'second-key')];
  ai.on({ key: 'first-key' }, { status: 429, retryAfter: 600 });
  for (let n = 0; n < 4; n += 1) good(await ask(home, 'model-a'));
  assert.deepEqual(keysUsed(), ['first-key', 'second-key', 'second-key', 'second-key', 'second-key']);
  const resting = await stateOf(root, first);
  assert.deepEqual([resting.state, resting.reason], ['cooling', 'rate_limited']);
  const until = Date.parse(resting.until);
  assert.ok(until > Date.now() + 500_000);
  // A try that is told to wait less changes nothing.
  ai.clear();
  ai.on({ key: 'first-key' }, { status: 429, retryAfter: 1 });
  assert.equal(good(await root('POST', '/api/ai/pool/keys/{id}/test', { id: first.id, body: {} })).ok, false);
  assert.equal(Date.parse((await stateOf(root, first)).until), until);
  ai.on({ key: 'second-key' }, { status: 429, retryAfter: 100 });
  const answer = await ask(home, 'model-a', 'x', { fallback: false });
  assert.equal(answer.status, 503, answer.text);
  const all = await ask(home, 'model-a', 'x', { fallback: false });
  refused(all, 503, 'PROVIDERS_UNAVAILABLE');
  // The first that comes back is the second.
  const wait = Number(all.headers.get('retry-after'));
  assert.ok(wait > 60 && wait <= 100, `${wait}`);
  await stack.restart({ kill: 'SIGKILL' });
  ai.clear();
  refused(await ask(home, 'model-a', 'x', { fallback: false }), 503, 'PROVIDERS_UNAVAILABLE');
  assert.equal(ai.calls.length, 0);
  await eventually(async () => good(await root('GET', '/api/ai/pool/keys/{id}', { id: first.id })).state === 'cooling');
  await dropKey(root, first);
  await dropKey(root, second);
});

test('keys that share their limits are not tried one after the other', async () => {
  const home = await tenant(stack);
  const all = [];
  for (const name of ['sibling-1', 'sibling-2', 'sibling-3']) all.push(await addKey(root, 'groq', name));
  const apart = await addKey(root, 'groq', 'another-account', { metadata: { quota_group: 'another' } });
  await changeKey(root, apart, { priority: -1 });
  ai.on({}, (call) => (call.key.startsWith('sibling') ? { status: 429, retryAfter: 60 } : {}));
  good(await ask(home, 'model-g', 'x', { fallback: false }));
  assert.deepEqual([keysUsed().length, keysUsed()[1]], [2, 'another-account']);
  const { keys } = await statsOf(root, { provider: 'groq' });
  assert.equal(keys.filter(({ state }) => state === 'cooling').length, 3);
  for (const key of [...all, apart]) await dropKey(root, key);
});

test('weights and priorities', async () => {
  const home = await tenant(stack);
  const keys = [
    await addKey(root, 'deepseek', 'never-key', { weight: -100 }), await addKey(root, 'deepseek', 'always-key', { weight: 1 }),
    await addKey(root, 'deepseek', 'later-key', { weight: 1000, priority: -1 }),
  ];
  for (let n = 0; n < 10; n += 1) good(await ask(home, 'model-d'));
  assert.deepEqual([...new Set(keysUsed())], ['always-key']);
  await changeKey(root, keys[1], { is_active: false });
  ai.clear();
  for (let n = 0; n < 3; n += 1) good(await ask(home, 'model-d'));
  assert.deepEqual([...new Set(keysUsed())], ['later-key']);
  for (const key of keys) await dropKey(root, key);
});

test('a key that is deleted or taken out of use in the middle of a storm serves no call that begins afterwards', async () => {
  const home = await tenant(stack);
  const [gone, out] = [await addKey(root, 'anthropic', 'gone-key', { weight: 50 }), await addKey(root, 'anthropic', 'out-key', { weight: 50 })];
  const stays = await addKey(root, 'anthropic', 'stays-key', { weight: 50 });
  ai.on({}, { delay: 5 });
  let phase = 'before';
  let running = true;
  let failed = 0;
  const one = async () => {
    while (running) {
      const answer = await ask(home, 'model-c', `${phase} ${randomUUID()}`, { fallback: false });
      if (answer.status !== 200) failed += 1;
    }
  };
  const storm = Promise.all(Array.from({ length: 8 }, one));
  await eventually(() => new Set(keysUsed()).size === 3);
  await dropKey(root, gone);
  phase = 'deleted';
  await eventually(() => ai.calls.filter((call) => JSON.stringify(call.body).includes('deleted')).length > 20);
  await changeKey(root, out, { is_active: false });
  phase = 'taken-out';
  await eventually(() => ai.calls.filter((call) => JSON.stringify(call.body).includes('taken-out')).length > 20);
  running = false;
  await storm;
  assert.equal(failed, 0);
  const used = (word) => new Set(ai.calls.filter((call) => JSON.stringify(call.body).includes(word)).map(({ key }) => key));
  assert.deepEqual([...used('deleted')].sort(), ['out-key', 'stays-key']);
  assert.deepEqual([...used('taken-out')], ['stays-key']);
  await dropKey(root, out);
  await dropKey(root, stays);
});

test('what a pool told of a key that is put back meanwhile is not written over its clean record', async () => {
  const home = await tenant(stack);
  const key = await addKey(home.as.admin, 'openai', 'mended-key');
  const client = await stack.pg.connect();
  const waiting = (count) => eventuallyHolds(async () => {
    const { rows: [{ now }] } = await client.query(
      "SELECT count(*)::int AS now FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
    assert.equal(now, count);
  });
  let change;
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM ai_api_pool WHERE id = $1 FOR NO KEY UPDATE', [key.id]);
    ai.on({ key: 'mended-key' }, { status: 500 });
    refused(await ask(home, 'model-a', 'x', { fallback: false, retries: 0 }), 502, 'PROVIDERS_FAILED');
    change = changeKey(home.as.admin, key, { is_active: true });
    await waiting(1);
    // What the pool tells waits behind it, and read the row before it changed.
    await waiting(2);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  await change;
  const row = await eventually(async () => {
    const found = good(await home.as.admin('GET', '/api/ai/pool/keys/{id}', { id: key.id }));
    return found.usage_count === 1 && found;
  });
  assert.deepEqual([row.consecutive_failures, row.is_healthy, row.state, row.generation], [0, true, 'active', 2]);
  await dropKey(home.as.admin, key);
});

test('what pools did is shown by key, model and provider, and PostgreSQL follows', async () => {
  const home = await tenant(stack);
  const key = await addKey(home.as.admin, 'gemini', 'counted-key');
  ai.on({}, { usage: { input: 100, output: 50 } });
  for (let n = 0; n < 4; n += 1) good(await ask(home, 'model-m'));
  ai.on({ key: 'counted-key' }, { status: 500 }, { times: 1 });
  good(await ask(home, 'model-m', 'x', { fallback: false, retries: 2 }).then((answer) => (answer.status === 200 ? answer : ask(home, 'model-m'))));
  // What went well is told a moment behind the answer.
  const { stats, of } = await eventually(async () => {
    const all = await statsOf(home.as.admin);
    const mine = all.keys.find(({ id }) => id === key.id);
    return mine.in_flight === 0 && { stats: all, of: mine };
  });
  const { hour } = of.calls;
  assert.equal(hour.failures.fault, 1);
  assert.equal(hour.requests, 6);
  assert.ok(Math.abs(hour.error_rate - 1 / 6) < 1e-9);
  assert.deepEqual([hour.tokens_input, hour.tokens_output], [500, 250]);
  // 100 tokens at a dollar for a million, 50 at two.
  assert.ok(Math.abs(hour.cost_usd - 5 * 0.0002) < 1e-9);
  assert.ok(hour.latency_p50_ms > 0 && hour.latency_p95_ms >= hour.latency_p50_ms);
  assert.deepEqual(of.calls.day, hour);
  assert.deepEqual([stats.providers.length, stats.providers[0].provider, stats.providers[0].keys_active], [1, 'gemini', 1]);
  assert.deepEqual(stats.providers[0].calls.hour, hour);
  assert.deepEqual(stats.models.map(({ model, calls }) => [model, calls.hour.requests]), [['model-m', 6]]);
  assert.deepEqual(stats.total.hour, hour);
  assert.deepEqual([of.usage_count, of.tokens_used, of.in_flight], [6, 750, 0]);
  await eventually(async () => {
    const row = good(await home.as.admin('GET', '/api/ai/pool/keys/{id}', { id: key.id }));
    return row.usage_count === 6 && row.tokens_used === 750 && row.last_used_at;
  });
  assert.ok(!stack.logs().includes('counted-key'));
  assert.deepEqual(ai.problems, []);
});
