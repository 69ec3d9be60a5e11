// The Postman collection: what is in the repository is what the document makes, and newman runs all of it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import newman from 'newman';
import { BEGINNING, collectionOf, environmentOf } from '../scripts/lib/postman.mjs';
import { startStack } from './harness/client.mjs';
import { startProvider } from './support/gotrue.mjs';
import { createOrganization } from './support/world.mjs';

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const document = read('../public/openapi.json');
const requestsOf = (items) => items.flatMap((item) => (item.item ? requestsOf(item.item) : [item]));

/** Runs a collection; returns the executions. */
const run = (options) => new Promise((settle, fail) => {
  newman.run(options, (error, summary) => (error ? fail(error) : settle(summary.run)));
});

test('the files in postman/ are made of the document as it is', () => {
  assert.deepEqual(read('../postman/celaest.postman_collection.json'), collectionOf(document), 'run "npm run openapi"');
  assert.deepEqual(read('../postman/celaest.postman_environment.json'), environmentOf('CELAEST Core'), 'run "npm run openapi"');
});

test('every operation is a request', () => {
  const operations = Object.values(document.paths).flatMap((path) => ['get', 'post', 'patch', 'delete'].filter((method) => path[method]));
  assert.equal(requestsOf(collectionOf(document).item.filter(({ name }) => name !== BEGINNING)).length, operations.length);
});

test('newman runs the whole collection: each request is answered as documented', async (t) => {
  const provider = await startProvider();
  t.after(() => provider.close());
  const stack = await startStack({ ai: { keys: { openai: ['first'] } }, vars: { SUPABASE_URL: provider.url, RATE_LIMIT_PER_MIN: '10000' } });
  t.after(() => stack.stop());
  provider.vars = stack.vars;
  const home = await createOrganization(stack);
  const environment = environmentOf('test', {
    base_url: stack.url, supabase_url: stack.vars.SUPABASE_URL, local_jwt_secret: stack.vars.SUPABASE_JWT_SECRET, local_user_id: home.users.super_admin,
  });
  const { executions, failures } = await run({ collection: collectionOf(document), environment, timeoutRequest: 30_000 });
  assert.deepEqual(failures.map(({ source, error }) => `${source?.name}: ${error.message}`), []);
  const done = executions.filter(({ response }) => response?.code < 300);
  assert.ok(done.length >= executions.length * 0.85, `only ${done.length} of ${executions.length} did what they are for`);
});
