// Running programs: one that ends (`run`) and one that stays (`Service`).

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { Problem } from './terminal.mjs';

const GUARD = fileURLToPath(new URL('../guard.mjs', import.meta.url));
const running = new Set();
const services = new Set();
let ending = false;

/** What cargo says of its progress, and the backtrace of a tool that only passes on a failure. */
const PROGRESS = /^\s*(Compiling|Checking|Downloading|Downloaded|Updating|Locking|Adding|Blocking|Finished|Fresh|Running|Doc-tests) /;

/** Lines without what nobody needs who looks for the failure. */
function essence(lines) {
  const end = lines.findIndex((line) => /^\s*(Stack backtrace|stack backtrace):/.test(line));
  return (end < 0 ? lines : lines.slice(0, end)).filter((line) => !PROGRESS.test(line)).join('\n').trim();
}

/**
 * Runs a program to its end and returns what it printed to standard output.
 *
 * Its error output is followed: every `every` seconds `note` receives the seconds so
 * far and the last line, so that a long step is never silent.
 *
 * @throws {Problem} `failure` (a sentence) when it does not end well, below what it printed
 */
export function run(command, args, { note, every = 20, failure, describe = (line) => line, timeout, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const started = Date.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    running.add(child);
    let output = '';
    const lines = [];
    const follow = (stream, onChunk = () => {}) => {
      let rest = '';
      stream.setEncoding('utf8').on('data', (chunk) => {
        onChunk(chunk);
        const parts = (rest + chunk).split(/\r?\n|\r/);
        rest = parts.pop();
        lines.push(...parts);
      }).on('end', () => rest && lines.push(rest));
    };
    follow(child.stdout, (chunk) => {
      output += chunk;
    });
    follow(child.stderr);
    const heartbeat = note && setInterval(() => {
      const seconds = Math.round((Date.now() - started) / 1000);
      const last = lines.findLast((line) => line.trim())?.trim() ?? 'working';
      note(`${String(seconds).padStart(4)} s  ${describe(last).slice(0, 100)}`);
    }, every * 1000);
    const deadline = timeout && setTimeout(() => child.kill('SIGKILL'), timeout);
    const settle = () => {
      running.delete(child);
      clearInterval(heartbeat);
      clearTimeout(deadline);
    };
    child.on('error', (error) => {
      settle();
      reject(new Problem(`${failure ?? `${command} cannot be run.`} (${error.message})`));
    });
    child.on('close', (code, signal) => {
      settle();
      if (code === 0) return resolve(output);
      const why = signal ? `it was ended by ${signal}` : `exit code ${code}`;
      const sentence = failure ?? `${command} ${args.join(' ')} failed (${why}).`;
      const words = essence(lines);
      const error = new Problem(words ? `${words}\n\n${sentence}` : sentence);
      error.tail = lines.filter((line) => line.trim()).slice(-25);
      reject(error);
    });
  });
}

/**
 * Ends everything that was started here and lets nothing new start: what `run` waits
 * for, then the services, the youngest first.
 */
export async function endAll() {
  ending = true;
  for (const child of running) child.kill('SIGTERM');
  for (const service of [...services].reverse()) await service.stop();
}

/** The first line a short command prints, or null when it cannot be run. */
export function ask(command, args, options = {}) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], ...options }).trim();
  } catch {
    return null;
  }
}

/**
 * A program that stays until it is stopped. It runs below `guard.mjs`, in a process
 * group of its own: Ctrl-C reaches only us, so that we choose the order of the ends,
 * and when we are killed the guard ends the program.
 */
export class Service {
  /** The process id of the program itself. */
  pid;
  /** Whether it has ended. */
  ended = false;

  /**
   * @param {string} command
   * @param {string[]} args
   * @param {object} options `onLine` receives each line of both outputs; `stopSignal`
   *   is the polite way to end the program and `patience` the ms it has then (0: it is
   *   ended by force); `user` is `{uid, gid}` to run it as
   */
  static async start(command, args, {
    onLine = () => {}, stopSignal = 'SIGTERM', patience = 8000, user, cwd, env = process.env,
  } = {}) {
    if (ending) throw new Problem('Stopped.');
    const service = new Service();
    service.patience = patience;
    services.add(service);
    const order = JSON.stringify({ command, args, stopSignal, ...user });
    service.guard = spawn(process.execPath, [GUARD, order], {
      cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [service.guard.stdout, service.guard.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop();
        lines.forEach((line) => onLine(line));
      });
    }
    service.exit = new Promise((resolve) => {
      service.guard.on('close', (code) => {
        service.ended = true;
        services.delete(service);
        resolve(code);
      });
    });
    service.pid = await new Promise((resolve, reject) => {
      service.guard.once('message', (message) => (
        message.pid ? resolve(message.pid) : reject(new Problem(`${command} cannot be run: ${message.error}.`))));
      service.exit.then((code) => reject(new Problem(`${command} ended at once (exit code ${code}).`)));
    });
    return service;
  }

  /** Ends the program; resolves when it is gone. */
  async stop(patience = this.patience) {
    if (!this.ended) this.guard.send({ stop: patience }, () => {});
    await this.exit;
  }

  /** Ends the program and everything it started at once, as a crash would. */
  async kill() {
    if (!this.ended) this.guard.send({ stop: 0 }, () => {});
    await this.exit;
  }
}

/** The command line of a live process, or null. */
export function commandOf(pid) {
  if (!Number.isInteger(pid) || pid <= 1) return null;
  if (existsSync('/proc/self/cmdline')) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() || null;
    } catch {
      return null;
    }
  }
  return ask('ps', ['-o', 'command=', '-p', String(pid)]) || null;
}

/** Waits until `check` is true; false when `patience` ms went by. */
export async function until(check, patience, pause = 50) {
  const end = Date.now() + patience;
  for (;;) {
    if (await check()) return true;
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Whether nobody listens on a port of this machine. */
export function portIsFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port that nobody listens on, chosen by the system. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A port number from the environment, or null when the variable is not set. */
export function portFrom(name) {
  const text = process.env[name];
  if (!text) return null;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Problem(`${name}=${text} is not a port: give a number from 1 to 65535.`);
  }
  return port;
}
