// What is measured under load: each line next to what it is compared with, and the aim of that.

import { setTimeout as sleep } from 'node:timers/promises';
import { load, once, request } from './load.mjs';
import { spoilt } from './keys.mjs';
import { processorMs } from './workerd.mjs';

/** The middle one; of an even number, the upper of the two. */
export const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/**
 * The lines by name: requests made beforehand, and what a right answer contains. `next` names the line that
 * this one is run right after in every round, and `aim` is how much of its rate it should reach.
 */
export function linesOf({ ports, keys, token, apiKey, organization }) {
  // What a program sends: the floor gets the same bytes.
  const validation = (port, path, key, index = 0) => request({
    port, path, method: 'POST',
    headers: { 'cf-connecting-ip': `198.18.${index >> 8}.${index & 255}`, 'user-agent': 'bench/1.0' },
    body: { license_key: key, machine_id: 'bench-machine', nonce: 'a1b2c3d4e5f6' },
  });
  const validate = (key, index) => validation(ports.core, '/api/licenses/validate', key, index);
  const get = (path, headers) => [request({ port: ports.core, path, headers })];
  const bearer = { authorization: `Bearer ${token}` };
  const core = (line) => ({ port: ports.core, ...line });
  return {
    floor: { title: '(a) JavaScript worker, one object hop by fetch', port: ports.floor, expects: '"success":true',
      requests: [validation(ports.floor, '/one', keys[0])] },
    sql: { title: '(s) the same and one query by npm postgres', port: ports.floorSql, expects: '"per_page":20',
      requests: [request({ port: ports.floorSql, path: `/one?organization=${organization}` })] },
    invalid: core({ title: 'validate, an invalid key', next: 'floor', aim: 1.4, expects: '"code":"INVALID_KEY"',
      requests: [validate(spoilt(keys[0]))] }),
    one: core({ title: 'validate, one warm key', next: 'floor', aim: 0.85, expects: '"valid":true',
      requests: [validate(keys[0])] }),
    thousand: core({ title: 'validate, 1,000 warm keys', next: 'floor', aim: 0.75, p99Aim: 15, expects: '"valid":true',
      requests: keys.map(validate) }),
    whoKey: core({ title: 'who am I, API key', next: 'one', aim: 0.8, expects: '"success":true',
      requests: get('/api/auth/me', { 'x-api-key': apiKey }) }),
    whoToken: core({ title: 'who am I, token (HS256)', next: 'one', aim: 0.8, expects: '"success":true',
      requests: get('/api/auth/me', bearer) }),
    list: core({ title: 'list of 20 licenses', next: 'sql', aim: 1, expects: '"per_page":20',
      requests: get('/api/licenses?per_page=20', bearer) }),
  };
}

/** Longer than a license's object keeps a new address to itself, in milliseconds. */
const REPORTED_MS = 3_000;

/**
 * When objects have written, in milliseconds after a call, what each writes behind once in half a minute: all of them in
 * one short load would be what is measured.
 */
const WRITTEN_MS = 2_000;

/**
 * Sends every request of `line` once and lets PostgreSQL learn what came of it: programs that are started again are
 * at addresses that it knows. Queues forget what comes afterwards, as PostgreSQL is not what is measured.
 */
export async function settle(line, queuePort) {
  const queue = async (method) => {
    const response = await fetch(`http://127.0.0.1:${queuePort}/`, { method });
    if (!response.ok) throw new Error(await response.text());
  };
  await once(line);
  await sleep(REPORTED_MS);
  await queue('POST');
  await queue('PUT');
}

/**
 * Runs every line right after the one it is compared with, in rounds: a slow minute hits both.
 *
 * @returns the lines with `rate`, `p50`, `p99`, `cpuMs` (medians of all their runs) and `ratio`, the median
 *   of what each run reached of the one just before it
 */
export async function measure(lines, { pid, rounds, seconds, connections, note }) {
  const runs = Object.fromEntries(Object.keys(lines).map((name) => [name, []]));
  const ratios = Object.fromEntries(Object.keys(lines).map((name) => [name, []]));
  const run = async (name) => {
    // Objects leave memory after ten idle seconds; warm means that they are in it.
    await once(lines[name]);
    if (lines[name].requests.length > 1) await sleep(WRITTEN_MS);
    const before = processorMs(pid);
    const figures = await load({ ...lines[name], connections, seconds });
    runs[name].push({ ...figures, cpuMs: before === null ? NaN : (processorMs(pid) - before) / figures.count });
    return figures.rate;
  };
  for (let round = 1; round <= rounds; round += 1) {
    const reached = [];
    for (const [name, { title, next }] of Object.entries(lines)) {
      if (!next) continue;
      const beside = await run(next);
      const ratio = (await run(name)) / beside;
      ratios[name].push(ratio);
      reached.push(`${title} ${ratio.toFixed(2)}`);
    }
    note(`round ${round} of ${rounds}: ${reached.join(' · ')}`);
  }
  return Object.fromEntries(Object.entries(lines).map(([name, line]) => {
    const middle = (figure) => median(runs[name].map((one) => one[figure]));
    const figures = Object.fromEntries(['rate', 'p50', 'p99', 'cpuMs'].map((figure) => [figure, middle(figure)]));
    return [name, { ...line, ...figures, ratio: line.next && median(ratios[name]) }];
  }));
}

/** The figures as a table; `base` names the line that all are compared with. */
export function table(lines, base = 'floor') {
  const row = (name, ...cells) => `${name.padEnd(47)}${cells.map((cell, index) => cell.padStart([10, 11, 11, 9, 8][index] ?? 0)).join('')}`;
  const words = ({ next, aim, ratio, p99, p99Aim }) => {
    if (!next) return '';
    const beside = { floor: '(a)', sql: '(s)', one: 'one warm key' }[next];
    const late = p99Aim && !(p99 < p99Aim);
    const wanted = `at least ${aim.toFixed(2)} of ${beside}${p99Aim ? `, p99 below ${p99Aim} ms` : ''}`;
    return `  ${wanted}: ${ratio.toFixed(2)}, ${ratio >= aim && !late ? 'reached' : 'missed'}`;
  };
  return [
    `${row('', 'requests/s', 'p50', 'p99', 'CPU', base === 'floor' ? 'of (a)' : 'of (s)')}  aim`,
    ...Object.values(lines).map((line) => row(
      line.title, Math.round(line.rate).toLocaleString('en'), `${line.p50.toFixed(2)} ms`, `${line.p99.toFixed(2)} ms`,
      Number.isNaN(line.cpuMs) ? '–' : `${line.cpuMs.toFixed(2)} ms`,
      (line.next === base ? line.ratio : line.rate / lines[base].rate).toFixed(2),
    ) + words(line)),
  ].join('\n');
}
