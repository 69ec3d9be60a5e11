// The published document as others use it: a linter's rules, and a typed client made of it.

import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import { build } from 'esbuild';
import { sharedStack } from './harness/client.mjs';
import { document, isAsPromised, operations } from './support/openapi.mjs';
import { folderFor, run, runPackage, tenantFor } from './support/programs.mjs';
import { createOrganization } from './support/world.mjs';

const stack = await sharedStack();
const FILE = 'public/openapi.json';

/** Everything in a value that is an object, with its path. */
function* objects(value, path = '#') {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [path, value];
  for (const [name, inner] of Object.entries(value)) {
    if (name !== 'example') yield* objects(inner, `${path}/${name}`);
  }
}

describe('what generators need', () => {
  test('no construct that they stumble over', () => {
    for (const [path, schema] of objects(document)) {
      for (const [name, field] of Object.entries(schema.properties ?? {})) assert.equal(field.default, undefined, `${path}/${name}`);
      assert.ok(!('default' in schema && schema.default === null), `${path} has a default of null`);
      assert.notEqual(schema.items, true, path);
      assert.ok(!(Array.isArray(schema.oneOf) && schema.oneOf.some((one) => 'const' in one)), `${path} chooses from constants`);
    }
  });

  test('formats', () => {
    for (const [path, { properties }] of objects(document)) {
      for (const [name, schema] of Object.entries(properties ?? {})) {
        if (!name.endsWith('_at') || !JSON.stringify(schema.type ?? '').includes('string')) continue;
        assert.equal(schema.format, 'date-time', `${path}/${name}`);
      }
    }
  });

  test('names that a person would choose, each once', () => {
    const names = [...operations.values()].map(({ operationId }) => operationId);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z]+([A-Z][a-z]+)*$/);
    assert.equal(operations.get('POST /api/licenses/{id}/revoke').operationId, 'revokeLicense');
  });

  test('every operation says who may call it', () => {
    for (const [name, { security }] of operations) assert.ok(Array.isArray(security), name);
    assert.deepEqual(operations.get('POST /api/licenses/validate').security, []);
  });

  test('every code has its status and its meaning', () => {
    const { enum: codes, description } = document.components.schemas.ErrorCode;
    for (const code of codes) assert.match(description, new RegExp(`\\| \`${code}\` \\| [45]\\d\\d \\| .{10,}\\.`), code);
  });

  test('every event that webhooks can subscribe to has a schema', async () => {
    const home = await createOrganization(stack);
    const { data } = await home.as.admin('GET', '/api/webhooks/events');
    assert.deepEqual(Object.keys(document.webhooks).sort(), data.map(({ name }) => name).sort());
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'openapi');
    for (const { post } of Object.values(document.webhooks)) {
      const { $ref } = post.requestBody.content['application/json'].schema;
      assert.ok(ajv.getSchema(`openapi${$ref}`), $ref);
    }
  });

  test('every operation that answers JSON has an example, which is what it promises', () => {
    for (const [name, operation] of operations) {
      const [method, path] = name.split(' ');
      const good = Object.entries(operation.responses).find(([status]) => status.startsWith('2'));
      // One leads somewhere else and says nothing itself.
      const media = good?.[1].content?.['application/json'];
      if (!media) continue;
      assert.ok(media.example, `${name} has no example`);
      isAsPromised(method, path, good[0], media.example);
      if (operation.requestBody?.required) assert.ok(operation.requestBody.content['application/json'].example, name);
    }
  });
});

test('redocly lint has no error', async () => {
  await runPackage('@redocly/cli/bin/cli.js', ['lint', FILE, '--format=stylish']);
});

test('openapi-typescript: a program that validates, creates and lists', async () => {
  const home = await createOrganization(stack);
  const folder = folderFor('typescript');
  await runPackage('openapi-typescript/bin/cli.js', [FILE, '--output', join(folder, 'api.d.ts')]);
  copyFileSync(new URL('clients/program.ts', import.meta.url), join(folder, 'program.ts'));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      strict: true, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'],
      allowImportingTsExtensions: true, types: [], noUncheckedIndexedAccess: true,
    },
    files: ['program.ts', 'node.d.ts'],
  }));
  writeFileSync(join(folder, 'node.d.ts'), 'declare const process: { env: Record<string, string | undefined> };\n');
  await runPackage('typescript/bin/tsc', ['--project', folder]);
  await build({ entryPoints: [join(folder, 'program.ts')], bundle: true, format: 'esm', platform: 'node', outfile: join(folder, 'program.mjs') });
  const said = JSON.parse(await run(process.execPath, [join(folder, 'program.mjs')], { env: await tenantFor(stack, home) }));
  assert.equal(said.validated, said.created);
  assert.deepEqual({ listed: said.listed, total: said.total, code: said.code }, { listed: true, total: 1, code: 'LICENSE_NOT_FOUND' });
});
