// A Python package made of the published document: installed, generated and used.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedStack } from './harness/client.mjs';
import { ROOT, folderFor, pythonWith, run, tenantFor } from './support/programs.mjs';
import { createOrganization } from './support/world.mjs';

const GENERATOR = 'openapi-python-client==0.29.1';

const stack = await sharedStack();

test('openapi-python-client: a program that validates, creates and lists', async () => {
  const home = await createOrganization(stack);
  const folder = folderFor('python');
  const python = await pythonWith(folder, GENERATOR);
  const made = join(folder, 'made');
  rmSync(made, { recursive: true, force: true });
  // Nothing but what the generator makes itself.
  const config = join(folder, 'config.json');
  // It knows files only under this name.
  const files = Object.fromEntries(['application/pdf', 'application/x-ndjson'].map((type) => [type, 'application/octet-stream']));
  writeFileSync(config, JSON.stringify({ post_hooks: [], content_type_overrides: files }));
  const warnings = await run(join(folder, 'venv', 'bin', 'openapi-python-client'), [
    'generate', '--path', join(ROOT, 'public/openapi.json'), '--meta', 'none', '--output-path', join(made, 'celaest_core_client'), '--config', config, '--fail-on-warning',
  ]);
  assert.doesNotMatch(warnings, /WARNING|ERROR/);
  const program = join(ROOT, 'tests/clients/program.py');
  const said = JSON.parse(await run(python, [program], { env: { ...await tenantFor(stack, home), PYTHONPATH: made } }));
  assert.equal(said.validated, said.created);
  assert.deepEqual({ listed: said.listed, total: said.total }, { listed: true, total: 1 });
});
