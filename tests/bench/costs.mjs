// What a million of something costs on the platform: everything it bills is counted while a few are done at
// the pace at which they come, then multiplied with the list prices.

import { setTimeout as sleep } from 'node:timers/promises';
import { startReceiver } from '../support/receiver.mjs';
import { spoilt } from './keys.mjs';
import { PRICES, READ_ON, perMillion } from './prices.mjs';
import { processorMs } from './workerd.mjs';

/** What one Durable Object is billed for, in GB. */
const OBJECT_GB = 0.128;
/** How often queues deliver, as `max_batch_timeout` in wrangler.toml says. */
const DELIVER_MS = 1_000;
/** Nothing moved for so long: alarms wait for two seconds, the rest for less. */
const QUIET_MS = 12_000;
const PATIENCE_MS = 60_000;
/** How long the receiver of webhooks takes to answer. */
const RECEIVER_MS = 100;
/** How far behind its pace a row may fall before that is said. */
const LATE = 1.2;
/** A million in a day. */
const DAILY_PER_SECOND = 1e6 / 86_400;

/** One worker that counts. */
class Counted {
  #workerd;

  constructor(workerd) {
    this.#workerd = workerd;
  }

  /** Sends a request; returns its data and how many SQL statements it took. */
  async call(method, path, { headers = {}, body, status = 200 } = {}) {
    const response = await fetch(`http://127.0.0.1:${this.#workerd.ports.core}${path}`, {
      method, headers: { 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status !== status) throw new Error(`${method} ${path} should be answered with ${status}: it was ${response.status} ${text.slice(0, 300)}`);
    const statements = response.headers.get('server-timing')?.match(/\bdb;desc="(\d+)"/)?.[1];
    if (statements === undefined) throw new Error(`${method} ${path} was answered without counts in Server-Timing`);
    return { data: JSON.parse(text).data, statements: Number(statements) };
  }

  /** Asks one of the counters; `method` as `counting.js` and `queue.js` say. */
  async #ask(name, method = 'GET') {
    const response = await fetch(`http://127.0.0.1:${this.#workerd.ports[name]}/`, { method });
    if (!response.ok) throw new Error(`${await response.text()}\n${this.#workerd.lines.join('\n')}`);
    return response.json();
  }

  /** Delivers messages and waits for alarms until nothing moves any more; returns the counts. */
  async settle() {
    const end = Date.now() + PATIENCE_MS;
    let [last, since] = ['', Date.now()];
    while (Date.now() - since < QUIET_MS) {
      if (Date.now() > end) throw new Error(`the worker was still busy a minute after the last request: ${last}`);
      const queue = await this.#ask('queue', 'POST');
      const counts = { ...await this.#ask('counter'), ...queue };
      const now = JSON.stringify(counts);
      if (now !== last) [last, since] = [now, Date.now()];
      await sleep(DELIVER_MS);
    }
    return JSON.parse(last);
  }

  /**
   * Does `one(index)` so many times, `perSecond` of them, and counts everything until it has had its last
   * effect. Returns what one of them uses, by the names of `PRICES`.
   */
  async units({ count, perSecond, one, note }) {
    await this.settle();
    await this.#ask('counter', 'DELETE');
    await this.#ask('queue', 'DELETE');
    const before = processorMs(this.#workerd.pid);
    let [index, statements, busy] = [0, 0, true];
    const started = performance.now();
    const lane = async () => {
      while (index < count) {
        const at = started + (index * 1000) / perSecond;
        const mine = index;
        index += 1;
        await sleep(Math.max(0, at - performance.now()));
        const answer = await one(mine);
        statements += answer.statements;
      }
    };
    const deliver = async () => {
      for (; busy; await sleep(DELIVER_MS)) await this.#ask('queue', 'POST');
    };
    const lanes = Promise.all(Array.from({ length: 16 }, lane)).finally(() => {
      busy = false;
    });
    await Promise.all([lanes, deliver()]);
    const took = (performance.now() - started) / 1000;
    if (took > LATE * (count / perSecond)) note(`slower than it should come: ${(count / took).toFixed(1)} a second instead of ${perSecond.toFixed(1)}`);
    const used = await this.settle();
    const cpuMs = before === null ? 0 : processorMs(this.#workerd.pid) - before;
    const each = (number) => number / count;
    return {
      requests: 1 + each(used.batches), cpuMs: each(cpuMs), objectRequests: each(used.objectRequests), alarms: each(used.alarms),
      gbSeconds: each((used.activeMs / 1000) * OBJECT_GB), rowsRead: each(used.rowsRead),
      rowsWritten: each(used.rowsWritten), queueOperations: each(used.operations), statements: each(statements),
    };
  }
}

const minus = (all, part) => Object.fromEntries(Object.keys(all).map((name) => [name, Math.max(0, all[name] - part[name])]));

/**
 * Counts all rows of the table.
 *
 * @param {object} options
 * @param {(vars: object) => Promise<object>} options.start starts workerd with these variables on top; the
 *   objects stay from one start to the next
 * @param {number} options.seconds how long each row is kept up
 * @returns {Promise<{title: string, units: object}[]>}
 */
export async function countCosts({ start, seconds, keys, token, apiKey, note }) {
  const rows = [];
  let worker;
  const bearer = { authorization: `Bearer ${token}` };
  const validate = (key, index = 0) => worker.call('POST', '/api/licenses/validate', {
    headers: { 'cf-connecting-ip': `198.18.${index >> 8}.${index & 255}`, 'user-agent': 'bench/1.0' },
    body: { license_key: key, machine_id: 'bench-machine', nonce: 'a1b2c3d4e5f6' },
  });
  const valid = async (key, index) => {
    const answer = await validate(key, index);
    if (answer.data.valid !== true) throw new Error(`a validation ended with ${answer.data.code}`);
    return answer;
  };
  const count = async (title, { perSecond, one, warm = true, less }) => {
    if (warm) await one(0);
    const units = await worker.units({ count: Math.ceil(perSecond * seconds), perSecond, one, note });
    rows.push({ title, units: less ? minus(units, less) : units });
    note(`${title}: $${perMillion(rows.at(-1).units).toFixed(2)} for a million`);
    return units;
  };
  const lonely = keys.slice(0, Math.ceil(DAILY_PER_SECOND * seconds));

  let workerd = await start({});
  worker = new Counted(workerd);
  await count('validation, a key that cannot be one', { perSecond: 10, one: () => validate(spoilt(keys[0])) });
  await count('validation, one key ten times a second', { perSecond: 10, one: () => valid(keys[0]) });
  // So many at a time that the first has not left memory when the last has come in.
  for (let at = 0; at < keys.length; at += 8) await Promise.all(keys.slice(at, at + 8).map((key, index) => valid(key, at + index)));
  await count('validation, 1,000 keys once a second each', {
    perSecond: keys.length, one: (index) => valid(keys[index % keys.length], index % keys.length),
  });
  await count('who am I, with an API key', { perSecond: 5, one: () => worker.call('GET', '/api/auth/me', { headers: { 'x-api-key': apiKey } }) });
  await count('list of 20 licenses, with a token', { perSecond: 5, one: () => worker.call('GET', '/api/licenses?per_page=20', { headers: bearer }) });

  const { data } = await worker.call('GET', '/api/licenses?per_page=1', { headers: bearer });
  const change = () => worker.call('PATCH', `/api/licenses/${data[0].id}`, { headers: bearer, body: { notes: `n ${Math.random()}` } });
  const alone = await count('change of a license', { perSecond: 1, one: change });
  const receiver = await startReceiver(() => ({ status: 204, delay: RECEIVER_MS }));
  try {
    await worker.call('POST', '/api/webhooks', { headers: bearer, body: { name: 'bench', url: receiver.url, events: ['*'] }, status: 201 });
    await count('webhook delivery', { perSecond: 1, one: change, less: alone });
    if (receiver.requests.length < seconds) throw new Error(`only ${receiver.requests.length} webhooks arrived`);
  } finally {
    await receiver.close();
  }
  await workerd.stop();

  // Another day: no object is in memory, and what each knows of its license is too old.
  workerd = await start({ SNAPSHOT_TTL_SECONDS: '1' });
  worker = new Counted(workerd);
  await count('validation, one of a license and day', {
    perSecond: DAILY_PER_SECOND, warm: false, one: (index) => valid(lonely[index], index),
  });
  await workerd.stop();
  return rows;
}

/** The rows as a Markdown table, for the terminal and for docs/edge.md. */
export function costTable(rows) {
  const names = Object.keys(PRICES);
  const digits = (number) => (number === 0 ? '0' : number < 0.0995 ? number.toPrecision(2) : number.toFixed(2));
  const lines = [
    ['a million of', ...names.map((name) => PRICES[name].unit), 'USD'],
    ['---', ...names.map(() => '--:'), '--:'],
    ...rows.map(({ title, units }) => [title, ...names.map((name) => digits(units[name])), perMillion(units).toFixed(2)]),
    [`USD for a million, ${READ_ON}`, ...names.map((name) => `${PRICES[name].usd}`), ''],
  ];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
