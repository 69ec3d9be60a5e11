// PyPI's `openai`, unmodified, against /v1.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openMesh, tenant } from './support/ai.mjs';
import { folderFor, pythonWith, run } from './support/programs.mjs';
import { withApiKey } from './support/world.mjs';

const PACKAGE = 'openai==3.57.0';
const MODELS = [['openai', 'gpt-a'], ['anthropic', 'claude-a'], ['gemini', 'gemini-3.8-flash'], ['local', 'llama3.2']];
const PROGRAM = new URL('clients/openai_client.py', import.meta.url).pathname;

let stack;
let home;
before(async () => {
  stack = await openMesh({ keys: Object.fromEntries(MODELS.map(([name]) => [name, [`key-${name}`]])), models: MODELS });
  home = await tenant(stack, { limits: { max_ai_requests_per_month: -1 } });
});
after(() => stack?.stop());

for (const [, model] of MODELS) {
  test(model, async () => {
    const { key } = await withApiKey(stack, home.users.developer, home.id);
    const python = await pythonWith(folderFor('python-openai'), PACKAGE);
    const said = JSON.parse(await run(python, [PROGRAM], { env: { API_KEY: key, BASE_URL: `${stack.url}/v1`, MODEL: model } }));
    assert.deepEqual([said.answer, said.streamed], ['You said: One two three', 'You said: One two three']);
    assert.ok(said.total > 0 && said.total === said.streamed_total);
    assert.deepEqual([said.call, said.said], [['weather', { city: 'text' }], 'The tools say: sunny']);
    assert.deepEqual(said.parsed, { name: 'text', age: 1 });
    assert.ok(said.models.includes(model));
    assert.equal(said.model, model);
    assert.deepEqual([said.unknown, said.wrong[0]], [[404, 'model_not_found'], 400]);
    assert.deepEqual(stack.ai.problems, []);
  });
}
