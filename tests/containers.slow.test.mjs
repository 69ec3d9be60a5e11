// The containers as they run: everything up from nothing, a validated license, an AI answer and a paid order, then a
// restart, an upgrade and a restored backup. Where there is no Docker this is skipped, and says so.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LOGS, ROOT } from '../scripts/lib/paths.mjs';
import { freePort } from '../scripts/lib/processes.mjs';
import { assembleContainers } from '../scripts/lib/self-host.mjs';
import { readWorker } from '../scripts/lib/worker.mjs';
import { ids } from './harness/client.mjs';
import { makeBases } from './support/bases.mjs';
import { caller, eventually, good } from './support/api.mjs';
import { token } from './support/tokens.mjs';

const ways = [['docker', 'compose'], ['docker-compose']];
const works = ([command, ...args]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const compose = works(['docker', 'info']) ? ways.find((way) => works([...way, 'version'])) : undefined;
const skip = compose ? false : 'there is no Docker with Compose here';

const SUPABASE = 'https://supabase.test';
// A model to ask, beside the others: for want of a provider in a test.
const WITH_AI = `services:
  core:
    depends_on: { ai: { condition: service_started } }
    build: { network: host }
  pgbouncer:
    build: { network: host }
  ai:
    image: celaest-setup
    entrypoint: [node, -e, "import('/fakes/ai-provider.mjs').then(async (fake) => (await fake.startAiProvider({ port: 8000, host: '0.0.0.0' })).server.ref())"]
    volumes: [./fakes:/fakes]
`;

let folder;
let url;
let call;

/** Runs compose in the folder; returns what it printed. */
function up(...args) {
  const [command, ...first] = compose;
  const result = spawnSync(command, [...first, '-f', 'compose.yaml', '-f', 'with-ai.yaml', ...args], {
    cwd: folder, encoding: 'buffer', maxBuffer: 2 ** 28, env: { ...process.env, DOCKER_BUILDKIT: '1', COMPOSE_DOCKER_CLI_BUILD: '1' },
  });
  assert.equal(result.status, 0, `${args.join(' ')}: ${result.stderr.toString().slice(-4000)}`);
  return result.stdout;
}
const start = async () => {
  up('up', '--detach', '--no-build');
  await eventually(() => fetch(`${url}/health/ready`).then(({ ok }) => ok, () => false), 120_000);
};
const owner = (...command) => up('exec', '-T', 'postgres', ...command);

const secret = (name) => readFileSync(join(folder, 'secrets', name), 'utf8');
const license = () => call('GET', '/api/licenses/{id}', { id: ids.licenses.active }).then(good);
const validate = async (key) => good(await call('POST', '/api/licenses/validate', { body: { license_key: key } }));

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'celaest-containers-'));
  chmodSync(folder, 0o755);
  for (const name of ['compose.yaml', 'Dockerfile', '.dockerignore', 'self-host']) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  cpSync(join(ROOT, 'tests/fakes'), join(folder, 'fakes'), { recursive: true });
  await assembleContainers(join(folder, 'build/containers'), await readWorker(ROOT), () => {});
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  writeFileSync(join(folder, 'with-ai.yaml'), WITH_AI);
  writeFileSync(join(folder, '.env'), [
    `COMPOSE_PROJECT_NAME=celaest-test-${process.pid}`, 'BUILT=from-here', `PORT=${port}`, `SUPABASE_URL=${SUPABASE}`,
    'RATE_LIMIT_PER_MIN=1000', 'AI_BASE_URLS=local=http://ai:8000/local', 'ALLOW_PRIVATE_NETWORK=true', '',
  ].join('\n'));
  execFileSync(join(folder, 'self-host/secrets.sh'));
  chmodSync(join(folder, 'secrets/local_api_keys'), 0o600);
  writeFileSync(join(folder, 'secrets/local_api_keys'), 'local', { mode: 0o444 });
  chmodSync(join(folder, 'secrets/local_api_keys'), 0o444);
  makeBases();
  up('build');
  await start();
  const vars = { SUPABASE_URL: SUPABASE, SUPABASE_JWT_AUDIENCE: 'authenticated', SUPABASE_JWT_SECRET: secret('supabase_jwt_secret') };
  call = caller({ url, vars }, { token: await token(vars, ids.users.superAdmin) });
}, { timeout: 900_000 });

after(() => {
  if (!folder) return;
  try {
    mkdirSync(LOGS, { recursive: true });
    writeFileSync(join(LOGS, 'containers.log'), up('logs', '--no-color'));
    up('down', '--volumes', '--timeout=5');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

let bought;

test('a seeded license is validated, and the log of it reaches PostgreSQL', { skip }, async () => {
  const { license_key: key, id } = await license();
  assert.equal((await validate(key)).code, 'VALID');
  await eventually(async () => good(await call('GET', '/api/licenses/{id}/validations', { id })).length > 0, 60_000);
});

test('a model answers', { skip }, async () => {
  const answer = good(await call('POST', '/api/ai/chat', {
    body: { license_id: ids.licenses.active, provider: 'local', messages: [{ role: 'user', content: 'Hello' }] },
  }));
  assert.match(answer.message.content, /Hello/);
});

test('an order is paid, and what it gave is valid', { skip }, async () => {
  const product = good(await call('POST', '/api/products', {
    body: { organization_id: ids.organizations.acme, code: 'CONTAINER', name: 'Bought here', price: 25, status: 'published', plan_id: ids.plans.professional },
  }), 201);
  const order = good(await call('POST', '/api/orders', { body: { items: [{ product_id: product.id }], billing: { country_code: 'ES' } } }), 201);
  good(await call('POST', '/api/orders/{id}/pay', { id: order.id, body: { gateway: 'manual' } }));
  assert.equal(good(await call('POST', '/api/orders/{id}/settle', { id: order.id, body: {} })).status, 'completed');
  const [item] = good(await call('GET', '/api/orders/{id}/items', { id: order.id }));
  bought = good(await call('GET', '/api/licenses/{id}', { id: item.license_ids[0] }));
  assert.equal((await validate(bought.license_key)).valid, true);
});

test('only the worker can be reached, and none of it runs as root', { skip }, () => {
  const published = up('ps').toString().match(/(?:0\.0\.0\.0|127\.0\.0\.1):\d+->/g) ?? [];
  assert.equal(published.length, 1);
  for (const service of ['core', 'pgbouncer', 'postgres']) assert.notEqual(up('exec', '-T', service, 'cat', '/proc/1/status').toString().match(/^Uid:\s+(\d+)/m)[1], '0', service);
});

test('started anew, as for an upgrade, everything is where it was', { skip }, async () => {
  up('stop', '--timeout=10', 'core');
  up('up', '--detach', '--no-build', '--force-recreate', 'migrate', 'seed', 'core');
  await eventually(() => fetch(`${url}/health/ready`).then(({ ok }) => ok, () => false), 120_000);
  assert.equal((await validate(bought.license_key)).valid, true);
});

test('a backup is brought back to a machine that has nothing', { skip, timeout: 300_000 }, async () => {
  // As docs/self-host.md says.
  const dump = owner('pg_dump', '--username=celaest_owner', '--format=custom', '--no-owner', 'celaest');
  up('down', '--volumes', '--timeout=5');
  up('up', '--detach', '--no-build', 'postgres');
  await eventually(() => { try { return owner('pg_isready', '-h', '127.0.0.1', '-U', 'celaest_owner', '-d', 'celaest'); } catch { return false; } }, 60_000);
  writeFileSync(join(folder, 'celaest.dump'), dump);
  const [command, ...first] = compose;
  owner('psql', '--username=celaest_owner', '--dbname=celaest', '--command', 'CREATE ROLE celaest_app LOGIN',
    '--command', "ALTER ROLE celaest_app SET idle_in_transaction_session_timeout = '60s'");
  const restored = spawnSync(command, [...first, '-f', 'compose.yaml', '-f', 'with-ai.yaml', 'exec', '-T', 'postgres',
    'pg_restore', '--username=celaest_owner', '--exit-on-error', '--no-owner', '--dbname=celaest'], { cwd: folder, input: dump });
  assert.equal(restored.status, 0, restored.stderr.toString());
  await start();
  assert.equal((await validate(bought.license_key)).valid, true);
});
