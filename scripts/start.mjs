// npm start: everything from a fresh clone to a running worker, then the logs until Ctrl-C.
//
// Options: --dev builds with the fast profile; --catalogue adds the second seed file;
// --once stops after the worker has validated a license (for a build server).

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, onStop } from './lib/bootstrap.mjs';
import { DEV_VARS, LOGS, ROOT, STATE } from './lib/paths.mjs';
import { commandOf, endAll, portFrom, portIsFree, until } from './lib/processes.mjs';
import { Problem, duration, printError, steps } from './lib/terminal.mjs';

const RUN = join(STATE, 'run.json');
const DEMO_LICENSE = '40000000-0000-4000-8000-000000000001';
const DEMO_ADMIN = '20000000-0000-4000-8000-000000000002';

/** Refuses a second start, and ends a worker that a killed one left behind. */
async function settleEarlierRun() {
  if (!existsSync(RUN)) return;
  const earlier = JSON.parse(readFileSync(RUN, 'utf8'));
  if (earlier.pid !== process.pid && commandOf(earlier.pid)?.includes('start.mjs')) {
    throw new Problem(`npm start is already running here (process ${earlier.pid}, ${earlier.url}): stop it with Ctrl-C, or with "kill ${earlier.pid}".`);
  }
  // Its guards end what it started; they need a moment.
  const gone = () => !commandOf(earlier.worker)?.includes('wrangler');
  if (!await until(gone, 10_000)) {
    process.kill(-earlier.worker, 'SIGKILL');
    await until(gone, 5000);
  }
  rmSync(RUN, { force: true });
}

async function checkPort(port) {
  if (!await portIsFree(port)) {
    throw new Problem(`Port ${port} is taken: stop the program that uses it, or choose another one with "PORT=${port + 1} npm start".`);
  }
}

/** What to type next. */
async function printInvitation({ url, vars, key }) {
  const { signToken } = await import('./lib/token.mjs');
  const token = await signToken(vars, { sub: DEMO_ADMIN, email: 'admin@acme.test' });
  process.stdout.write(`
CELAEST Core runs at ${url}
API documentation:   ${url}/docs

Validate a license (answers "valid": true):

  curl -s ${url}/api/licenses/validate -H 'Content-Type: application/json' \\
    -d '{"license_key":"${key}"}'

List the licenses of a seeded organization, as its admin (the token lasts 12 hours):

  TOKEN=${token}
  curl -s ${url}/api/licenses -H "Authorization: Bearer $TOKEN"

Ctrl-C stops everything; the data stays in .celaest/. Logs follow.

`);
}

/** The validation that the invitation shows, tried out. */
async function tryValidation(url, key) {
  const response = await fetch(`${url}/api/licenses/validate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ license_key: key }),
  });
  const answer = await response.json();
  if (answer.data?.valid !== true) throw new Problem(`The seeded license is not valid: ${response.status} ${JSON.stringify(answer)}`);
  process.stdout.write('The seeded license is valid.\n');
}

await bootstrap(async ({ packages }) => {
  const { checkRust, wasmTarget } = await import('./lib/rust.mjs');
  const { installTools } = await import('./lib/tools.mjs');
  const { buildWorker } = await import('./lib/build.mjs');
  const { ensureDevVars } = await import('./lib/dev-vars.mjs');
  const { licenseKey } = await import('./lib/database.mjs');
  const { migrateLocal, seedLocal, startLocalServer } = await import('./lib/local-database.mjs');
  const { startWorker } = await import('./lib/wrangler.mjs');

  const started = Date.now();
  let server;
  let worker;
  let stopping = false;
  const stopped = new Promise((resolve) => {
    onStop(() => {
      stopping = true;
      process.stdout.write('\nStopping … ');
      // The worker first: it still writes to the database.
      endAll().catch(printError).then(resolve);
    });
  });
  const step = steps(8);
  const next = (title, work) => {
    if (stopping) throw new Problem('Stopped.');
    return step(title, work);
  };

  try {
    const port = portFrom('PORT') ?? 8787;
    mkdirSync(LOGS, { recursive: true });
    await settleEarlierRun();
    await checkPort(port);
    const url = `http://127.0.0.1:${port}`;
    writeFileSync(RUN, JSON.stringify({ pid: process.pid, url }));

    let env = {};
    await next('npm packages', () => packages);
    await next('Rust', () => checkRust());
    await next('WebAssembly target', async (note) => {
      const target = await wasmTarget(note);
      env = target.env;
      return target.words;
    });
    await next('wasm-bindgen', installTools);
    await next('build of the worker', (note) => buildWorker({ note, env, fast: process.argv.includes('--dev') }));
    const vars = ensureDevVars();
    await next('PostgreSQL 18', async () => {
      server = await startLocalServer();
      return `port ${server.cluster.port}, data in .celaest/postgres`;
    });
    let key;
    await next('schema and sample data', async (note) => {
      const migrated = await migrateLocal(server, note);
      const seeded = await seedLocal(server, { catalogue: process.argv.includes('--catalogue') });
      key = await licenseKey(server.ownerUrl, DEMO_LICENSE);
      return `${migrated}, ${seeded}`;
    });
    await next('wrangler dev', async () => {
      worker = await startWorker({
        folder: ROOT, state: join(STATE, 'wrangler'), envFile: DEV_VARS, databaseUrl: server.appUrl, port,
        log: join(LOGS, 'worker.log'), onLine: (line) => process.stdout.write(`${line}\n`),
      });
      writeFileSync(RUN, JSON.stringify({ pid: process.pid, url, worker: worker.service.pid }));
      return 'ready';
    });
    if (stopping) return 130;
    process.stdout.write(`Ready after ${duration(Date.now() - started)}.\n`);
    await printInvitation({ url, vars, key });
    if (process.argv.includes('--once')) {
      await tryValidation(url, key);
      return 0;
    }
    const ended = await Promise.race([
      stopped,
      worker.service.exit.then(() => ['wrangler dev', 'worker.log']),
      server.cluster.service.exit.then(() => ['PostgreSQL', 'postgres.log']),
    ]);
    if (!stopping) throw new Problem(`${ended[0]} ended by itself: its last lines are in ${join(LOGS, ended[1])}.`);
    await stopped;
    return 0;
  } catch (error) {
    if (!stopping) throw error;
    return 130;
  } finally {
    await endAll().catch(printError);
    if (existsSync(RUN) && JSON.parse(readFileSync(RUN, 'utf8')).pid === process.pid) rmSync(RUN);
    if (stopping) process.stdout.write('everything has stopped.\n');
  }
});
