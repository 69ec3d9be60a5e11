// The worker without Cloudflare: the same bundle in plain workerd, its queues and its clock in `self-host/`.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDue } from '../self-host/cron.mjs';
import { ROOT } from '../scripts/lib/paths.mjs';
import { freePort } from '../scripts/lib/processes.mjs';
import { assemble, startSelfHost } from '../scripts/lib/self-host.mjs';
import { readWorker } from '../scripts/lib/worker.mjs';
import { startStack } from './harness/client.mjs';
import { caller, eventually, good } from './support/api.mjs';
import { createOrganization, insertLicense } from './support/world.mjs';

let stack;
let home;
let folder;
let host;

/** Starts the runtime as a container does; what is optional is not set. */
async function start(port) {
  const vars = Object.fromEntries(Object.entries(stack.vars).filter(([name]) => !name.startsWith('EMAIL_')));
  return startSelfHost({
    folder: join(folder, 'bundle'), state: join(folder, 'data'), log: join(folder, 'log'), vars, databaseUrl: stack.pgApp,
    port: port ?? await freePort(),
  });
}

/** What waits in the queues, as the broker says to an operator. */
const waiting = async () => (await fetch(host.queues)).json();

before(async () => {
  stack = await startStack();
  home = await createOrganization(stack);
  folder = mkdtempSync(join(tmpdir(), 'self-host-'));
  await assemble(join(folder, 'bundle'), await readWorker(ROOT));
  host = await start();
});

after(async () => {
  await host?.service.kill();
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const call = () => caller({ ...stack, url: host.url });
const validate = async (license) => good(await call()('POST', '/api/licenses/validate', { body: { license_key: license.license_key } }));
const logged = async (license) => (await stack.pg.query('SELECT FROM license_validations WHERE license_id = $1', [license.id])).rowCount;

test('a license is validated, and what is behind the answer reaches PostgreSQL', async () => {
  const license = await insertLicense(stack, home.id);
  assert.equal((await validate(license)).code, 'VALID');
  await eventually(async () => await logged(license) === 1);
});

test('the page and its document are served, and what is no file is the worker\'s', async () => {
  const page = await fetch(`${host.url}/docs`);
  assert.deepEqual([page.status, page.headers.get('content-type'), page.headers.get('x-frame-options')], [200, 'text/html; charset=utf-8', 'DENY']);
  assert.equal((await (await fetch(`${host.url}/openapi.json`)).json()).info.title, 'CELAEST Core');
  assert.equal((await fetch(`${host.url}/no/such`)).status, 404);
});

test('what a queue has taken outlives a killed runtime and a consumer that fails', async () => {
  const license = await insertLicense(stack, home.id);
  await stack.pg.query('ALTER TABLE license_validations RENAME TO elsewhere');
  try {
    assert.equal((await validate(license)).code, 'VALID');
    // The consumer has failed at least once when the queue still has it.
    await eventually(async () => (await waiting())['celaest-validations'] > 0);
    await host.service.kill();
    host = await start(host.port);
    assert.ok((await waiting())['celaest-validations'] > 0);
  } finally {
    await stack.pg.query('ALTER TABLE elsewhere RENAME TO license_validations');
  }
  await eventually(async () => await logged(license) === 1, 60_000);
  await eventually(async () => (await waiting())['celaest-validations'] === 0);
  assert.equal(await logged(license), 1);
});

test('a job runs when an operator says so, and only those that there are', async () => {
  const run = (cron) => fetch(`${host.queues}/run?${new URLSearchParams({ cron })}`, { method: 'POST' });
  assert.equal((await run('37 2 * * *')).status, 200);
  assert.equal((await run('1 1 1 1 1')).status, 404);
  await eventually(async () => (await stack.pg.query("SELECT FROM job_runs WHERE started_at > now() - interval '1 minute'")).rowCount > 0);
});

describe('cron', () => {
  const at = (text) => Date.parse(text);
  for (const [expression, time, due] of [
    ['* * * * *', '2026-01-01T00:00:00Z', true],
    ['*/5 * * * *', '2026-01-01T00:10:00Z', true],
    ['*/5 * * * *', '2026-01-01T00:11:00Z', false],
    ['2-57/5 * * * *', '2026-01-01T00:07:00Z', true],
    ['2-57/5 * * * *', '2026-01-01T00:05:00Z', false],
    ['37 2 * * *', '2026-01-01T02:37:59Z', true],
    ['37 2 * * *', '2026-01-01T03:37:00Z', false],
    ['0 0 29 2 *', '2028-02-29T00:00:00Z', true],
    ['0 0 1 * 1', '2026-06-01T00:00:00Z', true],
    ['0 0 13 * 6', '2026-11-06T00:00:00Z', true],
    ['0 0 2 * 3', '2026-03-01T00:00:00Z', false],
    ['0 0 * 3 *', '2026-04-01T00:00:00Z', false],
    ['0 0 1,15 * *', '2026-03-15T00:00:00Z', true],
    ['2-57/5 * * * *', '2026-03-01T10:57:00Z', true],
    ['1,31 * * * 1', '2026-11-22T05:31:00Z', true],
  ]) test(`${expression} at ${time}`, () => assert.equal(isDue(expression, at(time)), due));

  for (const wrong of ['* * * *', '60 * * * *', 'x * * * *', '*/0 * * * *', '5-2 * * * *', '* * * JAN *']) {
    test(`${wrong} is refused`, () => assert.throws(() => isDue(wrong, 0), /cron/));
  }
});
