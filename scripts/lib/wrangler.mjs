// `wrangler dev`: the worker with local Durable Objects, queues, cron and Hyperdrive.

import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './paths.mjs';
import { Service, freePort, until } from './processes.mjs';
import { Problem } from './terminal.mjs';

const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');

/** How long the worker may take until it answers for the first time. */
const START_PATIENCE = 90_000;

/** What wrangler needs to know and must not do. */
function environment(state, databaseUrl) {
  return {
    ...process.env,
    CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE: databaseUrl,
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: 'true',
    CLOUDFLARE_INCLUDE_PROCESS_ENV: 'false',
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_LOG_PATH: join(state, 'wrangler-logs'),
    // Two workers of one name on a machine would find each other otherwise.
    WRANGLER_REGISTRY_PATH: join(state, 'registry'),
    NO_COLOR: '1',
    CI: 'true',
  };
}

/**
 * Starts the worker and waits until `/health/ready` says that PostgreSQL and the
 * objects answer.
 *
 * @param {object} options
 * @param {string} options.folder where wrangler.toml is
 * @param {string} options.state folder for Durable Objects, logs and the registry
 * @param {string} options.envFile variables and secrets
 * @param {string} options.databaseUrl what Hyperdrive connects to
 * @param {number} options.port
 * @param {string} options.log file for everything that is printed
 * @param {(line: string) => void} [options.onLine] each line after the start
 * @param {boolean} [options.waitReady] false: until it answers at all
 * @param {number} [options.patience] ms that it has to end, 0 for none
 */
export async function startWorker({
  folder, state, envFile, databaseUrl, port, log, onLine = () => {}, waitReady = true, patience,
}) {
  for (const path of [state, dirname(log)]) mkdirSync(path, { recursive: true });
  const lines = [];
  let isUp = false;
  const service = await Service.start(process.execPath, [
    '--no-warnings', WRANGLER, 'dev', '--local', '--ip', '127.0.0.1', '--port', String(port),
    '--inspector-port', String(await freePort()), '--persist-to', join(state, 'objects'),
    '--env-file', envFile, '--show-interactive-dev-session=false', '--log-level', 'log',
  ], {
    cwd: folder,
    patience,
    env: environment(state, databaseUrl),
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
  const answered = await until(ready, START_PATIENCE, 100);
  isUp = true;
  if (service.ended || !answered) {
    await service.stop();
    const last = answer ? `The last answer of /health/ready was ${answer.status} ${answer.text}.` : 'It never answered.';
    throw new Problem(`${lines.slice(-25).join('\n')}\n\nThe worker did not get ready. ${last} Everything it printed is in ${log}.`);
  }
  return { url, port, service };
}

/** Runs another command of wrangler visibly and returns its exit code. */
export async function runWrangler(args, onLine) {
  const service = await Service.start(process.execPath, ['--no-warnings', WRANGLER, ...args], {
    cwd: ROOT, onLine, env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' },
  });
  return service.exit;
}
