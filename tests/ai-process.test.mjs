// The contract of the dashboard: a prompt by its slug, a text, three headers, an answer with its request_id.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { eventuallyHolds, openMesh, tenant, wholeRecords } from './support/ai.mjs';
import { insertApiKey } from './support/tokens.mjs';
import { insert } from './support/world.mjs';

let stack;
let home;
before(async () => {
  stack = await openMesh();
  home = await tenant(stack);
  await insert(stack, 'prompts_master', {
    id: randomUUID(), organization_id: home.id, slug: 'extraction_v1', name: 'Extraction', category: 'text', system_prompt: 'Extract the {{what}}.',
    user_prompt_template: 'From: {{input_text}}', variables: '["what", "input_text"]', temperature: '0.2', max_tokens: 300,
    preferred_model_id: stack.models['openai/model-b'],
  });
});
beforeEach(() => stack.ai.clear());
after(async () => {
  assert.deepEqual(stack.ai.problems, []);
  await stack.stop();
  await stack.ai.close();
});

const headers = () => ({ 'x-organization-id': home.id, 'x-user-id': home.users.admin, 'x-license-id': home.license.id });
const process = (body, more = headers()) => home.as.admin('POST', '/api/v1/ai/process', { body, headers: more });
const asked = { prompt_slug: 'extraction_v1', input_text: 'Ana, 34', variables: { what: 'name' } };

test('a prompt, a text, and an answer that the dashboard can keep', async () => {
  stack.ai.on({}, { text: '{"name": "Ana"}' });
  const data = good(await process(asked));
  assert.deepEqual(data.output, { name: 'Ana' });
  const [call] = stack.ai.calls;
  assert.equal(call.model, 'model-b');
  assert.deepEqual(call.body.messages.map(({ content }) => content), ['Extract the name.', 'From: Ana, 34']);
  assert.equal(call.body.temperature, 0.2);
  const [row] = await wholeRecords(stack, home.license.id, 1);
  assert.deepEqual([row.core_request_id, row.input_type, row.status], [data.request_id, 'process', 'completed']);
  const { rows } = await stack.pg.query("SELECT usage_count::int, success_count::int FROM prompts_master WHERE slug = 'extraction_v1' AND organization_id = $1", [home.id]);
  assert.deepEqual(rows, [{ usage_count: 1, success_count: 1 }]);
  stack.ai.clear();
  stack.ai.on({}, { text: 'no JSON' });
  assert.equal(good(await process(asked)).output, 'no JSON');
});

test('the headers must be the caller\'s own', async () => {
  const other = await tenant(stack);
  for (const [name, value] of [['x-organization-id', other.id], ['x-user-id', home.users.developer]]) {
    const details = refused(await process(asked, { ...headers(), [name]: value }), 403, 'FORBIDDEN');
    assert.equal(details.header.toLowerCase(), name);
  }
  refused(await process(asked, { ...headers(), 'x-license-id': other.license.id }), 404, 'LICENSE_NOT_FOUND');
  refused(await process(asked, { ...headers(), 'x-license-id': 'nonsense' }), 400, 'INVALID_HEADER');
  good(await process(asked, {}));
});

test('what does not fit the prompt is named', async () => {
  refused(await process({ ...asked, prompt_slug: 'nobody' }), 404, 'PROMPT_NOT_FOUND');
  refusedFields(await process({ input_text: 'x' }), 'prompt_slug');
  refusedFields(await process({ ...asked, stream: true }), 'stream');
  refused(await process({ ...asked, variables: {} }), 422, 'VALIDATION_FAILED');
  refused(await process({ ...asked, variables: { what: 'x', more: 'y' } }), 422, 'VALIDATION_FAILED');
});

test('two versions share the callers by their weights, and a caller keeps to its version', async () => {
  const versions = [1, 2].map((version) => ({
    id: randomUUID(), organization_id: home.id, slug: 'shared', name: 'Shared', category: 'text', version, weight: version === 1 ? 25 : 75,
    system_prompt: `Version ${version}.`, user_prompt_template: '{{input_text}}', variables: '["input_text"]', preferred_model_id: stack.models['openai/model-a'],
  }));
  for (const version of versions) await insert(stack, 'prompts_master', version);
  stack.ai.on({}, { text: 'Done.' });
  const callers = await Promise.all(Array.from({ length: 120 }, () => insertApiKey(stack.pg, stack.vars, { user: home.users.admin, organization: home.id })));
  const served = new Map();
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(callers.map(async ({ key, id }) => {
      good(await caller(stack, { apiKey: key })('POST', '/api/v1/ai/process', { body: { prompt_slug: 'shared', input_text: id } }));
    }));
    for (const { body: { messages: [{ content: version }, { content: who }] } } of stack.ai.calls) {
      assert.equal(served.get(who) ?? version, version);
      served.set(who, version);
    }
    assert.equal(stack.ai.calls.length, callers.length * (round + 1));
  }
  // A quarter of 120, and four standard deviations of chance to either side.
  const first = [...served.values()].filter((version) => version === 'Version 1.').length;
  assert.ok(first >= 11 && first <= 49, `${first} of ${served.size}`);
  const counted = async () => {
    const { rows } = await stack.pg.query("SELECT version::int, usage_count::int AS calls FROM prompts_master WHERE slug = 'shared' AND organization_id = $1 ORDER BY version", [home.id]);
    assert.deepEqual(rows, [{ version: 1, calls: 2 * first }, { version: 2, calls: 2 * (callers.length - first) }]);
  };
  await eventuallyHolds(counted);
});
