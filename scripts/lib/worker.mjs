// The worker on this machine, with Durable Objects, queues and cron as wrangler.toml has them.

import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Service, until } from './processes.mjs';
import { Problem } from './terminal.mjs';

const PROGRAM = fileURLToPath(new URL('../worker.mjs', import.meta.url));

/** How long the worker may take until it answers for the first time. */
const START_PATIENCE = 90_000;

/** What a worker is, as its wrangler.toml says: reading it takes seconds, so once for many workers. */
export async function readWorker(folder) {
  // Without one wrangler refuses; the real address comes with each start.
  process.env.CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE = 'postgres://nobody:nothing@127.0.0.1:5432/none';
  process.env.WRANGLER_SEND_METRICS = 'false';
  const { unstable_getMiniflareWorkerOptions: read } = await import('wrangler');
  const say = console.log;
  console.log = () => {};
  try {
    const { workerOptions, main } = read(join(folder, 'wrangler.toml'));
    return { folder, main, ...workerOptions };
  } finally {
    console.log = say;
  }
}

/**
 * Starts the worker and waits until `/health/ready` says that PostgreSQL and the
 * objects answer.
 *
 * @param {object} options
 * @param {object} options.worker from `readWorker`
 * @param {string} options.state folder for Durable Objects
 * @param {Record<string, string>} options.vars variables and secrets
 * @param {string} options.databaseUrl what Hyperdrive connects to
 * @param {number} options.port
 * @param {string} options.log file for everything that is printed
 * @param {(line: string) => void} [options.onLine] each line after the start
 * @param {boolean} [options.watch] take up new bundles
 * @param {boolean} [options.waitReady] false: until it answers at all
 * @param {number} [options.patience] ms that it has to end, 0 for none
 */
export async function startWorker({
  worker: { folder, main, bindings, modulesRules, ...worker }, state, vars, databaseUrl, port, log, onLine = () => {}, watch = false,
  waitReady = true, patience,
}) {
  // Its own, so that what a killed worker leaves goes with the next start or with the folder.
  const temporary = join(state, 'tmp');
  rmSync(temporary, { recursive: true, force: true });
  for (const path of [temporary, dirname(log)]) mkdirSync(path, { recursive: true });
  const file = join(state, 'worker.json');
  writeFileSync(file, JSON.stringify({
    ...worker,
    main,
    watch,
    build: join(folder, 'build'),
    bindings: { ...bindings, ...vars },
    hyperdrives: Object.fromEntries(Object.keys(worker.hyperdrives).map((name) => [name, databaseUrl])),
    host: '127.0.0.1',
    port,
    cf: false,
    logRequests: false,
    unsafeTriggerHandlers: true,
    resourcePersistencePath: join(state, 'objects'),
  }), { mode: 0o600 });
  const lines = [];
  let isUp = false;
  const service = await Service.start(process.execPath, ['--no-warnings', PROGRAM, file], {
    cwd: folder,
    patience,
    env: { ...process.env, NO_COLOR: '1', TMPDIR: temporary },
    onLine: (line) => {
      appendFileSync(log, `${line}\n`);
      if (isUp) onLine(line);
      else lines.push(line);
    },
  });
  const url = `http://127.0.0.1:${port}`;
  let answer;
  const ready = async () => {
    if (service.ended) return true;
    try {
      const response = await fetch(`${url}${waitReady ? '/health/ready' : '/health/live'}`, { signal: AbortSignal.timeout(5000) });
      answer = { status: response.status, text: await response.text() };
      return response.ok;
    } catch {
      return false;
    }
  };
  const answered = await until(ready, START_PATIENCE, 50);
  isUp = true;
  if (service.ended || !answered) {
    await service.stop();
    const last = answer ? `The last answer of /health/ready was ${answer.status} ${answer.text}.` : 'It never answered.';
    throw new Problem(`${lines.slice(-25).join('\n')}\n\nThe worker did not get ready. ${last} Everything it printed is in ${log}.`);
  }
  return { url, port, service };
}
