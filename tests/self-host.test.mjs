// The worker without Cloudflare: the same bundle in plain workerd, its queues and its clock in `self-host/`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDue } from '../self-host/cron.mjs';
import { ROOT } from '../scripts/lib/paths.mjs';
import { freePort } from '../scripts/lib/processes.mjs';
import { assemble } from '../scripts/lib/self-host.mjs';
import { readWorker } from '../scripts/lib/worker.mjs';
import { startStack } from './harness/client.mjs';
import { caller, eventually, good } from './support/api.mjs';
import { createOrganization, insertLicense } from './support/world.mjs';

const WORKERD = join(ROOT, 'node_modules/.bin/workerd');

let stack;
let home;
let folder;
let host;

/** Starts the runtime as the container does; `kill` ends it without a word. */
async function start(port, queuesPort) {
  const child = spawn(join(folder, 'bundle/entrypoint.sh'), {
    detached: true, stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...stack.vars, WORKERD, DATABASE_URL: stack.pgApp, DATA: join(folder, 'data'),
      ADDRESS: `127.0.0.1:${port}`, QUEUES_ADDRESS: `127.0.0.1:${queuesPort}`,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  const ended = new Promise((settle) => child.on('exit', settle));
  const kill = () => {
    process.kill(-child.pid, 'SIGKILL');
    return ended;
  };
  await eventually(() => fetch(`${url}/health/ready`).then(({ ok }) => ok, () => false)).catch((error) => kill().then(() => { throw error; }));
  return {
    url,
    /** What waits in the queues, as the broker says to an operator. */
    waiting: async () => (await fetch(`http://127.0.0.1:${queuesPort}/`)).json(),
    /** Ends it without a word and starts it again where it was. */
    killAndStart: () => kill().then(() => start(port, queuesPort)),
    kill,
  };
}

before(async () => {
  stack = await startStack();
  home = await createOrganization(stack);
  folder = mkdtempSync(join(tmpdir(), 'self-host-'));
  await assemble(join(folder, 'bundle'), await readWorker(ROOT));
  host = await start(await freePort(), await freePort());
});

after(async () => {
  await host?.kill();
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
    await eventually(async () => (await host.waiting())['celaest-validations'] > 0);
    host = await host.killAndStart();
    assert.ok((await host.waiting())['celaest-validations'] > 0);
  } finally {
    await stack.pg.query('ALTER TABLE elsewhere RENAME TO license_validations');
  }
  await eventually(async () => await logged(license) === 1, 60_000);
  await eventually(async () => (await host.waiting())['celaest-validations'] === 0);
  assert.equal(await logged(license), 1);
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
