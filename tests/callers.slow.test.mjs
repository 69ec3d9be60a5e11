// What a caller has used of its limit outlives the silence after which objects leave memory.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startStack } from './harness/client.mjs';
import { createOrganization, createUser, signedIn } from './support/world.mjs';

const LIMIT = 100;

let stack;

before(async () => {
  stack = await startStack({ vars: { RATE_LIMIT_PER_MIN: String(LIMIT) } });
});

after(() => stack?.stop());

test('four bursts with silences between them: a limit is a limit', async () => {
  const home = await createOrganization(stack);
  const call = await signedIn(stack, await createUser(stack, home.id, 'viewer'));
  const began = Date.now();
  let passed = 0;
  for (const at of [0, 16_000, 32_000, 48_000]) {
    await setTimeout(Math.max(0, began + at - Date.now()));
    const answers = await Promise.all(Array.from({ length: 120 }, () => call('GET', '/api/auth/me')));
    if (Date.now() - began > 58_000) break;
    passed += answers.filter(({ status }) => status === 200).length;
    assert.ok(answers.every(({ status }) => [200, 429].includes(status)));
  }
  assert.equal(passed, LIMIT);
});
