// Rate limits: exact for each caller, on a worker with the limit of production.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { caller, good, refused } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { token } from './support/tokens.mjs';
import { createOrganization, createUser, signedIn, withApiKey } from './support/world.mjs';

const LIST = ['GET', '/api/licenses'];
const LIMIT = 100;

let stack;
let home;

before(async () => {
  stack = await startStack({ vars: { RATE_LIMIT_PER_MIN: String(LIMIT) } });
  home = await createOrganization(stack);
});

after(() => stack?.stop());

/** Makes calls at the same time and counts their statuses. */
async function parallel(times, call) {
  const answers = await Promise.all(Array.from({ length: times }, call));
  const statuses = Object.groupBy(answers, ({ status }) => status);
  return { answers, statuses: Object.fromEntries(Object.entries(statuses).map(([status, list]) => [status, list.length])), by: statuses };
}

const number = (answer, name) => Number(answer.headers.get(name));

test('of 150 parallel calls of one user exactly 100 pass', async () => {
  const { statuses, by } = await parallel(150, () => home.as.admin(...LIST));
  assert.deepEqual(statuses, { 200: LIMIT, 429: 50 });
  const remaining = by[200].map((answer) => number(answer, 'ratelimit-remaining')).sort((a, b) => a - b);
  assert.deepEqual(remaining, Array.from({ length: LIMIT }, (_, index) => index));
  for (const answer of by[429]) {
    refused(answer, 429, 'RATE_LIMITED');
    assert.equal(number(answer, 'ratelimit-remaining'), 0);
    assert.equal(number(answer, 'ratelimit-limit'), LIMIT);
    const retry = number(answer, 'retry-after');
    assert.ok(Number.isInteger(retry) && retry >= 1 && retry <= 60, `Retry-After ${retry}`);
    assert.equal(retry, number(answer, 'ratelimit-reset'));
  }
});

test('the limit is the user\'s, whichever token they use', async () => {
  refused(await (await signedIn(stack, home.users.admin))(...LIST), 429, 'RATE_LIMITED');
  good(await home.as.developer(...LIST));
});

test('the headers count down', async () => {
  const first = await home.as.manager(...LIST);
  const second = await home.as.manager(...LIST);
  assert.equal(number(first, 'ratelimit-limit'), LIMIT);
  assert.equal(number(first, 'ratelimit-remaining'), LIMIT - 1);
  assert.equal(number(second, 'ratelimit-remaining'), LIMIT - 2);
  const reset = number(second, 'ratelimit-reset');
  assert.ok(reset >= 1 && reset <= 60, `RateLimit-Reset ${reset}`);
  assert.equal(second.headers.get('retry-after'), null);
});

test('a refused call counts too: what is forbidden cannot be tried for ever', async () => {
  const before = number(await home.as.viewer(...LIST), 'ratelimit-remaining');
  refused(await home.as.viewer('POST', '/api/licenses', { body: {} }), 403, 'FORBIDDEN');
  assert.equal(number(await home.as.viewer(...LIST), 'ratelimit-remaining'), before - 2);
});

test('an API key has a limit of its own', async () => {
  const key = await withApiKey(stack, home.users.developer, home.id, { rate_limit_rpm: 7 });
  const { statuses, by } = await parallel(20, () => key(...LIST));
  assert.deepEqual(statuses, { 200: 7, 429: 13 });
  assert.equal(number(by[429][0], 'ratelimit-limit'), 7);
  good(await home.as.developer(...LIST));
  const other = await withApiKey(stack, home.users.developer, home.id);
  assert.equal(number(await other(...LIST), 'ratelimit-limit'), LIMIT);
});

test('nobody: the address has the limit, and those who are signed in are not held up by it', async () => {
  good(await home.as.operator(...LIST));
  const bad = await token(stack.vars, home.users.operator, { aud: 'wrong' });
  const attempts = [
    () => caller(stack)(...LIST),
    () => caller(stack, { token: bad })(...LIST),
    () => caller(stack, { apiKey: 'celk_00000000guessguessguess' })(...LIST),
  ];
  const { statuses, by } = await parallel(150, (_, index) => attempts[index % attempts.length]());
  assert.deepEqual(statuses, { 401: LIMIT, 429: 50 });
  for (const answer of by[429]) refused(answer, 429, 'RATE_LIMITED');
  for (const answer of by[401]) assert.equal(number(answer, 'ratelimit-limit'), LIMIT);
  good(await home.as.operator(...LIST));
});

describe('failed sign-ins', () => {
  const from = (address) => ({ headers: { 'cf-connecting-ip': address } });
  const wrong = (address) => caller(stack)(...LIST, from(address));

  test('over the limit nobody is looked up for the address, rightly or wrongly', async () => {
    const address = '198.51.100.7';
    const warm = await createUser(stack, home.id, 'developer');
    const neighbour = caller(stack, { token: await token(stack.vars, warm) });
    good(await neighbour(...LIST, from(address)));
    const { statuses } = await parallel(LIMIT + 10, () => wrong(address));
    assert.deepEqual(statuses, { 401: LIMIT, 429: 10 });

    const cold = caller(stack, { token: await token(stack.vars, await createUser(stack, home.id, 'developer')) });
    const key = await withApiKey(stack, home.users.developer, home.id);
    for (const call of [cold, key]) {
      const answer = await call(...LIST, from(address));
      refused(answer, 429, 'RATE_LIMITED');
      assert.ok(number(answer, 'retry-after') >= 1 && number(answer, 'retry-after') <= 60);
      assert.match(answer.headers.get('server-timing'), /db;desc="0"/);
    }
    const answer = await wrong(address);
    refused(answer, 429, 'RATE_LIMITED');
    assert.match(answer.headers.get('server-timing'), /db;desc="0", do;desc="0"/);
    // Whom their object knows is not held up by a neighbour, and elsewhere nobody is.
    good(await neighbour(...LIST, from(address)));
    for (const call of [cold, key]) good(await call(...LIST, from('198.51.100.8')));
    // By now it knows them.
    good(await cold(...LIST, from(address)));
  });

  test('an IPv6 connection has one limit for all its addresses', async () => {
    const { statuses } = await parallel(LIMIT + 10, (_, index) => wrong(`2001:db8:1:2::${index.toString(16)}`));
    assert.deepEqual(statuses, { 401: LIMIT, 429: 10 });
    refused(await wrong('2001:db8:1:2:ffff:ffff:ffff:ffff'), 429, 'RATE_LIMITED');
    refused(await wrong('2001:db8:1:3::1'), 401, 'UNAUTHENTICATED');
  });
});
