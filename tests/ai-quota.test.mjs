// What a license allows, whoever comes at the same time.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { eventsOf, eventuallyHolds, openMesh, says, streams, tenant, usedOf, wholeRecords } from './support/ai.mjs';
import { tally } from './support/edge.mjs';
import { withApiKey } from './support/world.mjs';

let stack;
before(async () => {
  stack = await openMesh({ keys: { openai: ['key-openai-1', 'key-openai-2', 'key-openai-3'] } });
});
beforeEach(() => stack.ai.clear());
after(async () => {
  assert.deepEqual(stack.ai.problems, []);
  await stack.stop();
  await stack.ai.close();
});

const chat = (as, body = {}) => as('POST', '/api/ai/chat', { body: { messages: says('x'), model: 'model-a', ...body } });
const outcomes = (answers) => tally(answers.map(({ status, body }) => (status === 200 ? 'ok' : body.error.code)));
const many = (count, call) => Promise.all(Array.from({ length: count }, call));

test('twenty at once on seven requests: exactly seven, and Retry-After says when there are more', async () => {
  const home = await tenant(stack, { limits: { max_ai_requests_per_month: 7 } });
  const answers = await many(20, () => chat(home.as.admin));
  assert.deepEqual(outcomes(answers), { ok: 7, QUOTA_EXCEEDED: 13 });
  assert.equal(stack.ai.calls.length, 7);
  const answer = await chat(home.as.admin);
  const details = refused(answer, 429, 'QUOTA_EXCEEDED');
  assert.deepEqual([details.limit, details.most, details.left], ['max_ai_requests_per_month', 7, 0]);
  const returns = (new Date(details.resets_at) - Date.now()) / 1000;
  assert.ok(Math.abs(returns - Number(answer.headers.get('retry-after'))) < 5 && returns > 0);
  await wholeRecords(stack, home.license.id, 7);
  assert.equal((await usedOf(stack, home.license.id)).requests, 7);
});

test('what the plan and PostgreSQL say counts where the object knows nothing', async () => {
  const home = await tenant(stack, { license: { ai_requests_used: 9_998 } });
  assert.deepEqual(outcomes(await many(6, () => chat(home.as.admin))), { ok: 2, QUOTA_EXCEEDED: 4 });
});

test('so many at a time', async () => {
  const home = await tenant(stack, { limits: { max_concurrent_tasks: 3 } });
  stack.ai.on({}, { delay: 700 });
  const answers = await many(8, () => chat(home.as.admin));
  assert.deepEqual(outcomes(answers), { ok: 3, CONCURRENCY_LIMIT: 5 });
  assert.ok(answers.filter(({ status }) => status === 429).every(({ headers }) => headers.get('retry-after') === '1'));
  await eventuallyHolds(async () => good(await chat(home.as.admin)));
});

test('what the providers fail at is given back', async () => {
  const home = await tenant(stack, { limits: { max_ai_requests_per_month: 2 } });
  // All of them ask before the first is refused.
  stack.ai.on({}, { status: 400, message: 'no', delay: 700 }, { times: 5 });
  assert.deepEqual(outcomes(await many(5, () => chat(home.as.admin))), { PROVIDER_REJECTED: 2, QUOTA_EXCEEDED: 3 });
  await eventuallyHolds(async () => refused(await chat(home.as.admin), 422, 'PROVIDER_REJECTED'));
  stack.ai.clear();
  await eventuallyHolds(async () => good(await chat(home.as.admin)));
  await eventuallyHolds(async () => good(await chat(home.as.admin)));
  refused(await chat(home.as.admin), 429, 'QUOTA_EXCEEDED');
  const records = await wholeRecords(stack, home.license.id, 5);
  assert.deepEqual(tally(records.map(({ status, counts }) => `${status} ${counts}`)), { 'failed 0': 3, 'completed 1': 2 });
  assert.equal((await usedOf(stack, home.license.id)).requests, 2);
});

test('money has a limit too: what calls may cost is held, what they did cost is kept', async () => {
  // A call of one word may cost 1 + 2 × 10 millionths and costs 1 + 2 × 4 of them.
  const home = await tenant(stack, { limits: { max_ai_cost_usd_per_month: 0.0001 } });
  stack.ai.on({}, { usage: { input: 1, output: 4 }, delay: 200 });
  const first = await many(12, () => chat(home.as.admin, { max_tokens: 10 }));
  const ok = first.filter(({ status }) => status === 200).length;
  assert.ok(ok >= 1 && ok <= 4, `${ok} at once`);
  let all = ok;
  for (;;) {
    const answer = await chat(home.as.admin, { max_tokens: 10 });
    if (answer.status !== 200) {
      const details = refused(answer, 429, 'QUOTA_EXCEEDED');
      assert.equal(details.limit, 'max_ai_cost_usd_per_month');
      assert.ok(details.left < 0.000031 && details.most === 0.0001);
      break;
    }
    all += 1;
    assert.ok(all < 20);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await wholeRecords(stack, home.license.id, all);
  assert.ok((await usedOf(stack, home.license.id)).cost_micro <= 100);
});

test('one after the other, what fits is never refused: of the money, and of the calls at a time', async () => {
  const home = await tenant(stack, { limits: { max_ai_cost_usd_per_month: 0.000105, max_concurrent_tasks: 1 } });
  stack.ai.on({}, { usage: { input: 1, output: 4 } });
  // Each costs 9 millionths and holds three times as much until it ends.
  let fitted = 0;
  let answer;
  for (;;) {
    answer = await chat(home.as.admin, { max_tokens: 10 });
    if (answer.status !== 200) break;
    fitted += 1;
    assert.ok(fitted <= 11);
  }
  const details = refused(answer, 429, 'QUOTA_EXCEEDED');
  assert.ok(fitted >= 8, `${fitted}`);
  assert.equal(Math.round(details.left * 1e6), 105 - fitted * 9, 'nothing is held of a call that ended');
  // A stream gives back as soon.
  const single = await tenant(stack, { limits: { max_concurrent_tasks: 1 } });
  const token = await single.token('admin');
  for (let n = 0; n < 5; n += 1) {
    await eventsOf(await streams(stack, token, { messages: says('x'), model: 'model-a' }));
    good(await chat(single.as.admin));
  }
});

test('an API key has a budget of its own', async () => {
  const home = await tenant(stack);
  const key = await withApiKey(stack, home.users.admin, home.id, { max_ai_cost_usd_per_month: '0.00002' });
  stack.ai.on({}, { usage: { input: 5, output: 5 } });
  good(await chat(key, { max_tokens: 5 }));
  await eventuallyHolds(async () => {
    const details = refused(await chat(key, { max_tokens: 5 }), 429, 'QUOTA_EXCEEDED');
    assert.equal(details.limit, 'api_key.max_ai_cost_usd_per_month');
  });
  good(await chat(home.as.admin, { max_tokens: 5 }));
});

test('a budget is the key\'s from the start, goes over to what replaces it, and is shared by what is made with it', async () => {
  const home = await tenant(stack);
  stack.ai.on({}, { usage: { input: 5, output: 5 } });
  const keys = '/api/users/{id}/api-keys';
  const id = home.users.admin;
  const ask = (key) => chat(caller(stack, { apiKey: key.key }), { max_tokens: 5 });
  const make = (by, body) => by('POST', keys, { id, body: { name: 'Spends', scopes: ['ai:use', 'account:write'], ...body } });
  refusedFields(await make(home.as.admin, { max_ai_cost_usd_per_month: -1 }), 'max_ai_cost_usd_per_month');
  refusedFields(await make(home.as.admin, { max_ai_cost_usd_per_month: 1e9 }), 'max_ai_cost_usd_per_month');
  assert.equal(good(await make(home.as.admin, {}), 201).max_ai_cost_usd_per_month, null);
  const key = good(await make(home.as.admin, { max_ai_cost_usd_per_month: 0.00004 }), 201);
  assert.equal(key.max_ai_cost_usd_per_month, 0.00004);
  assert.ok(good(await home.as.admin('GET', keys, { id })).some((one) => one.id === key.id && one.max_ai_cost_usd_per_month === 0.00004));
  good(await ask(key));

  // What it makes has no more than it has, and no account of its own.
  const using = caller(stack, { apiKey: key.key });
  refused(await make(using, { max_ai_cost_usd_per_month: 0.00005 }), 403, 'API_KEY_OUTRANKED');
  const child = good(await make(using, {}), 201);
  assert.equal(child.max_ai_cost_usd_per_month, 0.00004);
  const next = good(await using('POST', `${keys}/{inner_id}/rotate`, { id, inner_id: key.id, body: {} }), 201);
  assert.equal(next.max_ai_cost_usd_per_month, 0.00004);
  good(await ask(next));
  for (const one of [key, child, next]) {
    await eventuallyHolds(async () => {
      const details = refused(await ask(one), 429, 'QUOTA_EXCEEDED');
      assert.equal(details.limit, 'api_key.max_ai_cost_usd_per_month');
    });
  }
  const records = await wholeRecords(stack, home.license.id, 2);
  assert.deepEqual(records.map(({ caller_key: used }) => used), [key.id, next.id]);
  const { rows } = await stack.pg.query('SELECT api_key_id, (cost_usd * 1000000)::int AS micro FROM license_key_spending WHERE license_id = $1', [home.license.id]);
  assert.deepEqual(rows, [{ api_key_id: key.id, micro: 30 }]);
  good(await chat(home.as.admin, { max_tokens: 5 }));
});

test('a higher limit counts for the very next call', async () => {
  const home = await tenant(stack, { limits: { max_ai_requests_per_month: 1 } });
  good(await chat(home.as.admin));
  refused(await chat(home.as.admin), 429, 'QUOTA_EXCEEDED');
  good(await home.as.admin('PATCH', '/api/licenses/{id}', { id: home.license.id, body: { custom_limits: { max_ai_requests_per_month: 2 } } }));
  good(await chat(home.as.admin));
  refused(await chat(home.as.admin), 429, 'QUOTA_EXCEEDED');
});

test('a lost object and a change meanwhile: nothing is forgotten and nothing counted twice', async () => {
  const home = await tenant(stack, { limits: { max_ai_requests_per_month: 10 } });
  assert.deepEqual(outcomes(await many(4, () => chat(home.as.admin))), { ok: 4 });
  await stack.restart({ kill: 'SIGKILL' });
  assert.deepEqual(outcomes(await many(3, () => chat(home.as.admin))), { ok: 3 });
  good(await home.as.admin('PATCH', '/api/licenses/{id}', { id: home.license.id, body: { notes: 'changed' } }));
  assert.deepEqual(outcomes(await many(8, () => chat(home.as.admin))), { ok: 3, QUOTA_EXCEEDED: 5 });
  await wholeRecords(stack, home.license.id, 10, 60_000);
  assert.equal((await usedOf(stack, home.license.id)).requests, 10);
});
