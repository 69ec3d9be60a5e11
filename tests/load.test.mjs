// The scenarios of `load/`: as k6's own types want them, and right in every path, body and check.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, test } from 'node:test';
import { runScenario, scenarios } from '../scripts/lib/load.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization } from './support/world.mjs';

const ITERATIONS = 12;
const file = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

test('the scenarios fit the types of k6', async () => {
  await promisify(execFile)(process.execPath, [file('node_modules/typescript/bin/tsc'), '-p', file('load')]).catch(({ stdout }) => assert.fail(stdout));
});

describe('a scenario', async () => {
  const stack = await startStack({ ai: { keys: { openai: ['first'] } }, vars: { RATE_LIMIT_PER_MIN: '10000' } });
  const home = await createOrganization(stack);
  const env = { BASE_URL: stack.url, TOKEN: await home.token('admin'), THINGS: '3' };

  for (const name of scenarios()) {
    test(name, async () => {
      const { checks, requests, options } = await runScenario(name, { env, iterations: ITERATIONS, together: 3 });
      assert.deepEqual(Object.entries(checks).filter(([, { fails }]) => fails), []);
      assert.ok(requests.length > ITERATIONS && requests.every(({ status }) => status < 300));
      for (const one of ['checks', 'http_req_duration', 'http_req_failed']) assert.ok(options.thresholds[one], one);
      assert.equal(options.scenarios.arriving.stages.length, 3);
    });
  }
});
