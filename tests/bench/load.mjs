// A load generator that costs little: keep-alive sockets, requests made beforehand, one
// under way on each socket.

import net from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const CHUNKS_END = Buffer.from('0\r\n\r\n');

/** How long an answer may take before the load is given up. */
const PATIENCE_MS = 30_000;

/** A request as it goes over the wire. */
export function request({ port, method = 'GET', path, headers = {}, body }) {
  const payload = body === undefined ? '' : JSON.stringify(body);
  const all = { host: `127.0.0.1:${port}`, ...headers };
  if (body !== undefined) Object.assign(all, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) });
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${payload}`);
}

/** The status and body of the first whole response in `bytes`, or null. */
function response(bytes) {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return null;
  const head = bytes.toString('latin1', 0, headEnd).toLowerCase();
  const start = headEnd + 4;
  const length = head.match(/\r\ncontent-length: (\d+)/)?.[1];
  const end = length === undefined ? bytes.indexOf(CHUNKS_END, start) : start + Number(length);
  if (end < 0 || bytes.length < end) return null;
  return { status: Number(head.slice(9, 12)), body: bytes.subarray(start, end) };
}

/** Sends one request after the other on one socket until `more()` is false. */
function lane(port, next, more, seen) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    let received = null;
    let sentAt = 0;
    const send = () => {
      if (!more()) return socket.end(resolve);
      sentAt = performance.now();
      return socket.write(next());
    };
    socket.on('connect', send);
    socket.on('data', (chunk) => {
      received = received ? Buffer.concat([received, chunk]) : chunk;
      const answer = response(received);
      if (!answer) return;
      received = null;
      try {
        seen(answer, performance.now() - sentAt);
      } catch (error) {
        socket.destroy();
        reject(error);
        return;
      }
      send();
    });
    socket.on('error', reject);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`no answer within ${PATIENCE_MS / 1000} s in the middle of the load`)));
    socket.on('close', () => reject(new Error('the worker closed a connection in the middle of the load')));
  });
}

/** Fails unless an answer is what the line wants. */
function check(answer, { title, expects }) {
  if (answer.status === 200 && answer.body.includes(expects)) return;
  throw new Error(`"${title}" should be answered with 200 and ${expects}: it was ${answer.status} ${answer.body.toString().slice(0, 300)}`);
}

/** Sends every request once, a few at a time: what must be warm is warm then. */
export async function once(line) {
  const { port, requests } = line;
  let sent = 0;
  const more = () => sent < requests.length;
  const seen = (answer) => check(answer, line);
  await Promise.all(Array.from({ length: 8 }, () => lane(port, () => requests[sent++], more, seen)));
}

/**
 * Keeps `connections` sockets busy for `seconds`, going round the requests.
 *
 * @returns {Promise<{count: number, rate: number, p50: number, p99: number}>} answers, requests per
 *   second and milliseconds
 */
export async function load({ connections, seconds, ...line }) {
  const { port, requests } = line;
  const latencies = [];
  let sent = 0;
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(Array.from({ length: connections }, () => lane(
    port,
    () => requests[sent++ % requests.length],
    () => performance.now() < until,
    (answer, took) => {
      check(answer, line);
      latencies.push(took);
    },
  )));
  const rate = (latencies.length * 1000) / (performance.now() - started);
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  return { count: latencies.length, rate, p50: at(0.5), p99: at(0.99) };
}
