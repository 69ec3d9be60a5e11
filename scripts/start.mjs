// npm start: everything from a fresh clone to a running worker, then the logs until Ctrl-C.
//
// npm run dev is the same with --watch: it builds with the fast profile, and again whenever
// a source changes. What does not compile is shown whole, and the last good build goes on.
//
// Options: --dev builds with the fast profile; --catalogue adds the second seed file;
// --once stops after the worker has validated a license (for a build server).

import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, onStop } from './lib/bootstrap.mjs';
import { BUILD, LOGS, ROOT, STATE } from './lib/paths.mjs';
import { commandOf, endAll, portFrom, portIsFree, until } from './lib/processes.mjs';
import { readState, writeState } from './lib/state.mjs';
import { Problem, duration, printError, steps } from './lib/terminal.mjs';

const RUN = join(STATE, 'run.json');
const DEMO_LICENSE = '40000000-0000-4000-8000-000000000001';
const DEMO_ADMIN = '20000000-0000-4000-8000-000000000002';
const TOKEN_LIFETIME = 12 * 3600;

/** Refuses a second start, and ends a worker that a killed one left behind. */
async function settleEarlierRun() {
  const earlier = readState(RUN);
  if (!earlier) return;
  if (earlier.pid !== process.pid && commandOf(earlier.pid)?.includes('start.mjs')) {
    throw new Problem(`npm start is already running here (process ${earlier.pid}, ${earlier.url}): stop it with Ctrl-C, or with "kill ${earlier.pid}".`);
  }
  // Its guards end what it started; they need a moment.
  const gone = () => !commandOf(earlier.worker)?.includes('worker.mjs');
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
  const { claimsOf, signToken } = await import('./lib/token.mjs');
  const claims = claimsOf(vars, DEMO_ADMIN, { email: 'admin@acme.test' }, TOKEN_LIFETIME);
  const token = await signToken(claims, { key: vars.SUPABASE_JWT_SECRET });
  process.stdout.write(`
CELAEST Core runs at ${url}
API documentation:   ${url}/docs

Validate a license (answers "valid": true):

  curl -s ${url}/api/licenses/validate -H 'Content-Type: application/json' \\
    -d '{"license_key":"${key}"}'

List the licenses of a seeded organization, as its admin (the token lasts 12 hours):

  TOKEN=${token}
  curl -s ${url}/api/licenses -H "Authorization: Bearer $TOKEN"

Ask a model (a stand-in answers, without keys or network):

  curl -s ${url}/api/ai/chat -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{"messages":[{"role":"user","content":"Hello"}]}'

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

const print = (line) => process.stdout.write(`${line}\n`);
const watching = process.argv.includes('--watch');

/** Starts the worker again each time that it ends by itself; gives up when it keeps ending. */
async function keepRunning(ended, run, isStopping) {
  const starts = [];
  for (;;) {
    await ended();
    if (isStopping()) return;
    starts.push(Date.now());
    if (starts.length > 5 && Date.now() - starts.at(-6) < 60_000) {
      throw new Problem(`The worker keeps ending by itself: its last lines are in ${join(LOGS, 'worker.log')}.`);
    }
    print('The worker has ended by itself: starting it again.');
    await run();
    print('The worker answers again.');
  }
}

await bootstrap(async ({ packages }) => {
  const { checkRust, wasmTarget } = await import('./lib/rust.mjs');
  const { installTools } = await import('./lib/tools.mjs');
  const { buildWorker } = await import('./lib/build.mjs');
  const { startClock } = await import('./lib/clock.mjs');
  const { ensureDevVars } = await import('./lib/dev-vars.mjs');
  const { licenseKey } = await import('./lib/database.mjs');
  const { migrateLocal, seedLocal, startLocalServer } = await import('./lib/local-database.mjs');
  const { readWorker, startWorker } = await import('./lib/worker.mjs');

  const started = Date.now();
  let server;
  let worker;
  let provider;
  let storage;
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
    writeState(RUN, { pid: process.pid, url });

    let env = {};
    await next('npm packages', () => packages);
    await next('Rust', () => checkRust());
    await next('WebAssembly target', async (note) => {
      const target = await wasmTarget(note);
      env = target.env;
      return target.words;
    });
    await next('wasm-bindgen', installTools);
    const build = (note) => buildWorker({ note, env, fast: watching || process.argv.includes('--dev') });
    await next('build of the worker', async (note) => {
      try {
        return await build(note);
      } catch (error) {
        if (!watching || !(error instanceof Problem) || !existsSync(BUILD)) throw error;
        printError(error);
        return 'the last good build is there';
      }
    });
    const vars = ensureDevVars();
    // Somebody's own server stands before the one that only pretends.
    if (!/(^|,)\s*local=/.test(vars.AI_BASE_URLS ?? '')) {
      const { startAiProvider } = await import('../tests/fakes/ai-provider.mjs');
      provider = await startAiProvider();
      vars.AI_BASE_URLS = [vars.AI_BASE_URLS, `local=${provider.baseUrls.local}`].filter(Boolean).join(',');
    }
    if (!vars.STORAGE_URL && vars.SUPABASE_SERVICE_KEY === 'local-service-key') {
      const { startStorage } = await import('../tests/fakes/storage.mjs');
      storage = await startStorage(vars.SUPABASE_SERVICE_KEY);
      vars.STORAGE_URL = storage.url;
    }
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
    const wishes = {
      state: join(STATE, 'worker'), vars, port, log: join(LOGS, 'worker.log'), onLine: print, watch: true,
      databaseUrl: (await server.openPooler()).url,
    };
    const run = async () => {
      worker = await startWorker({ worker: facts, ...wishes });
      writeState(RUN, { pid: process.pid, url, worker: worker.service.pid });
    };
    let facts;
    await next('worker', async () => {
      facts = await readWorker(ROOT);
      await run();
      return 'ready';
    });
    if (stopping) return 130;
    process.stdout.write(`Ready after ${duration(Date.now() - started)}.\n`);
    await printInvitation({ url, vars, key });
    if (process.argv.includes('--once')) {
      await tryValidation(url, key);
      return 0;
    }
    startClock(url, facts.cronTriggers, print);
    print(`Cron fires as wrangler.toml says: ${facts.cronTriggers.join(', ')} (UTC).`);
    if (watching) {
      const { watchSources } = await import('./lib/watch.mjs');
      watchSources({ build, migrate: () => migrateLocal(server, print), print });
    }
    await Promise.race([stopped, keepRunning(() => worker.service.exit, run, () => stopping), server.cluster.service.exit]);
    if (!stopping) throw new Problem(`PostgreSQL ended by itself: its last lines are in ${join(LOGS, 'postgres.log')}.`);
    await stopped;
    return 0;
  } catch (error) {
    if (!stopping) throw error;
    return 130;
  } finally {
    await endAll().catch(printError);
    await provider?.close();
    storage?.close();
    if (readState(RUN)?.pid === process.pid) rmSync(RUN);
    if (stopping) process.stdout.write('everything has stopped.\n');
  }
});
