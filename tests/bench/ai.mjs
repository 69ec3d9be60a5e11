// AI calls: what the worker adds to a provider's answer, beside a gateway that keeps nothing.
//
// Everybody asks the same fake provider in the same run: nobody in between, the gateway, a JavaScript worker that makes as
// many calls to objects as no AI call can do without, which is the platform's own floor, and the worker, which checks the caller, the license's quota and budget and the key's limits before each call, and writes down what
// it cost after it. The fake answers at once, so what is measured is what is added.

import http from 'node:http';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { STATE } from '../../scripts/lib/paths.mjs';
import { Service, freePort, run, until } from '../../scripts/lib/processes.mjs';
import { load, once, request } from './load.mjs';
import { median } from './lines.mjs';
import { processorMs } from './workerd.mjs';

const GATEWAY = '@portkey-ai/gateway';
// With a newer server below it its streams end with 500.
const PACKAGE = { private: true, dependencies: { [GATEWAY]: '1.15.2' }, overrides: { '@hono/node-server': '1.13.8' } };
const FAKE = fileURLToPath(new URL('../fakes/ai-provider.mjs', import.meta.url));
const MODEL = 'bench-model';
const KEY = 'bench-key';
/** How often queues deliver, as `max_batch_timeout` in wrangler.toml says. */
const DELIVER_MS = 1_000;
const PATIENCE_MS = 60_000;
/** Pauses of the fake between two pieces of a stream, in milliseconds. */
const GAP_MS = 5;

/** What the worker needs to call the fake alone. */
export const varsFor = (fake) => ({ AI_BASE_URLS: `openai=${fake}/openai/v1`, OPENAI_API_KEYS: KEY });

/** Where the fake is asked, for whoever asks it by itself. */
export const providerAt = (fake) => `${fake}/openai/v1/chat/completions`;

/** The model, and licenses that hold nobody up. */
export async function prepare(client) {
  await client.query('UPDATE ai_models SET is_active = false, is_default = false');
  await client.query(
    `INSERT INTO ai_models (provider, model_id, display_name, capabilities, context_window, cost_per_1k_input, cost_per_1k_output)
     VALUES ('openai', $1, $1, '{"text_generation": true, "streaming": true}', 100000, 0.001, 0.002)`, [MODEL]);
  await client.query(`UPDATE licenses SET custom_limits = coalesce(custom_limits, '{}') || '{"max_ai_requests_per_month": -1, "max_concurrent_tasks": -1, "max_batch_size": 1000}'`);
}

/** Starts the fake in a process of its own; `url` is where. */
export async function startFake() {
  const port = await freePort();
  const service = await Service.start(process.execPath, [FAKE, String(port)]);
  const url = `http://127.0.0.1:${port}`;
  await until(() => fetch(`${url}/control`).then(({ ok }) => ok, () => false), PATIENCE_MS);
  return { url, port, stop: () => service.stop() };
}

/** Starts the gateway, installed once for this clone and apart from the project's packages. */
export async function startGateway(note) {
  const folder = join(STATE, 'gateway');
  const program = join(folder, 'node_modules', GATEWAY, 'build/start-server.js');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify(PACKAGE));
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, note, failure: `${GATEWAY} cannot be installed.` });
  }
  const port = await freePort();
  const service = await Service.start(process.execPath, [program, `--port=${port}`, '--headless'], {
    env: { ...process.env, NODE_ENV: 'production' },
  });
  await until(() => fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false), PATIENCE_MS);
  return { port, pid: service.pid, stop: () => service.stop() };
}

/** Tells the queues to deliver, as the platform does; returns what ends that, after everything was delivered. */
export function deliverEvery(port) {
  let running = true;
  const deliver = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' });
    if (!response.ok) throw new Error(await response.text());
  };
  const loop = (async () => {
    while (running) {
      await deliver();
      await sleep(DELIVER_MS);
    }
    await deliver();
  })();
  // Whoever waits for the end hears of it.
  loop.catch(() => {});
  return async () => {
    running = false;
    await loop;
  };
}

const question = { model: MODEL, messages: [{ role: 'user', content: 'Say hello to the bench.' }], max_completion_tokens: 100 };

/** The ways to the same answer; `pid` is the process between asker and fake. */
function ways({ fake, gateway, floor, core, pid, apiKey }) {
  return {
    direct: { title: 'the fake provider itself', port: fake.port, path: '/openai/v1/chat/completions', headers: { authorization: `Bearer ${KEY}` } },
    gateway: {
      title: GATEWAY, port: gateway.port, pid: gateway.pid, path: '/v1/chat/completions',
      headers: { authorization: `Bearer ${KEY}`, 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${fake.url}/openai/v1` },
    },
    floor: { title: 'JavaScript worker, three object calls side by side', port: floor, pid, path: '/', headers: {} },
    core: { title: 'POST /v1/chat/completions, everything written down', port: core, pid, path: '/v1/chat/completions', headers: { authorization: `Bearer ${apiKey}` } },
  };
}

/** Milliseconds until the first content of a stream. */
function firstContent({ port, path, headers }) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ ...question, stream: true });
    const started = performance.now();
    const asked = http.request({ port, path, method: 'POST', agent: firstContent.agent, headers: { ...headers, 'content-type': 'application/json' } }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`a stream at port ${port} was answered with ${response.statusCode}`));
      let text = '';
      let took;
      response.on('data', (chunk) => {
        text += chunk;
        if (took === undefined && /"content":"[^"]/.test(text)) took = performance.now() - started;
      });
      response.on('end', () => (took === undefined ? reject(new Error('a stream had no content')) : resolve(took)));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
firstContent.agent = new http.Agent({ keepAlive: true });

/**
 * Runs the ways one after the other in rounds: a slow minute hits all of them.
 *
 * @returns by way: `rate`, `p50`, `p99`, `cpuMs` of a request under load and `first`, the median until the first content of a stream
 */
export async function measureAi({ fake, gateway, floor, core, pid, apiKey, rounds, seconds, connections, streams = 30, note = () => {} }) {
  const all = ways({ fake, gateway, floor, core, pid, apiKey });
  const runs = Object.fromEntries(Object.keys(all).map((name) => [name, []]));
  const firsts = Object.fromEntries(Object.keys(all).map((name) => [name, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, way] of Object.entries(all)) {
      const line = { ...way, expects: 'You said: Say hello to the bench.', requests: [request({ ...way, method: 'POST', body: question })] };
      await once(line);
      const before = way.pid ? processorMs(way.pid) : null;
      const run = await load({ ...line, connections, seconds });
      runs[name].push({ ...run, cpuMs: before === null ? NaN : (processorMs(way.pid) - before) / run.count });
    }
    note(`round ${round} of ${rounds}: ${Object.entries(runs).map(([name, list]) => `${name} ${Math.round(list.at(-1).rate)}/s`).join(' · ')}`);
  }
  await fetch(`${fake.url}/control`, { method: 'POST', body: JSON.stringify({ match: { stream: true }, behaviour: { gap: GAP_MS } }) });
  for (let nth = 0; nth < streams; nth += 1) {
    for (const [name, way] of Object.entries(all)) firsts[name].push(await firstContent(way));
  }
  const state = await (await fetch(`${fake.url}/control`)).json();
  if (state.problems.length) throw new Error(`the fake provider was asked wrongly: ${state.problems[0]}`);
  const middle = (name, figure) => median(runs[name].map((one) => one[figure]));
  return Object.fromEntries(Object.entries(all).map(([name, { title }]) => [name, {
    title, rate: middle(name, 'rate'), p50: middle(name, 'p50'), p99: middle(name, 'p99'), cpuMs: middle(name, 'cpuMs'), first: median(firsts[name]),
  }]));
}

/** Hands in tasks and waits until all are done; returns how many a second that was. */
export async function drain({ core, apiKey, count }) {
  const call = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${core}${path}`, {
      method, headers: { 'x-api-key': apiKey, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return JSON.parse(text).data;
  };
  const items = Array.from({ length: count }, (_, place) => ({ prompt: `Task ${place}` }));
  const started = performance.now();
  const { id } = await call('POST', '/api/ai/batches', { items, model: MODEL });
  let batch;
  const ended = await until(async () => {
    batch = await call('GET', `/api/ai/batches/${id}`);
    return batch.completed_tasks + batch.failed_tasks === count;
  }, 10 * PATIENCE_MS, 200);
  if (!ended || batch.failed_tasks) throw new Error(`of ${count} tasks ${batch.completed_tasks} were done and ${batch.failed_tasks} failed`);
  return (count * 1000) / (performance.now() - started);
}

/** The figures as a table. */
export function aiTable(figures, { drained, count }) {
  const row = (name, ...cells) => `${name.padEnd(54)}${cells.map((cell) => cell.padStart(12)).join('')}`;
  const ms = (number) => `${number.toFixed(2)} ms`;
  const cpu = (number) => (Number.isNaN(number) ? '–' : ms(number));
  const { direct, gateway, floor, core } = figures;
  const words = core.rate >= gateway.rate && core.p50 <= gateway.p50 && core.p99 <= gateway.p99 ? 'reached' : 'missed';
  return [
    row('AI calls', 'requests/s', 'added p50', 'added p99', 'first token', 'CPU'),
    ...[direct, gateway, floor, core].map((one) => row(
      one.title, Math.round(one.rate).toLocaleString('en'), ms(one.p50 - direct.p50), ms(one.p99 - direct.p99), ms(one.first - direct.first), cpu(one.cpuMs),
    )),
    `Of the floor, which knows nobody and writes nothing down: ${(core.rate / floor.rate).toFixed(2)} of its rate, ${(core.cpuMs / floor.cpuMs).toFixed(2)} of its CPU; the floor has ${(floor.rate / gateway.rate).toFixed(2)} of the gateway's rate.`,
    `At least as fast as the gateway, which keeps nothing: ${words} (${(core.rate / gateway.rate).toFixed(2)} of its rate).`,
    ...(drained ? [`${count.toLocaleString('en')} tasks were handed in and done at ${Math.round(drained).toLocaleString('en')} a second.`] : []),
  ].join('\n');
}
