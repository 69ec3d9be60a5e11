// The far end of AI calls: one HTTP server that speaks the six dialects, each under a path of its own, checks
// what it is sent as strictly as the documented APIs do, and misbehaves when it is told to.
//
//   const ai = await startAiProvider();
//   ai.on({ provider: 'openai', key: 'a' }, { status: 401 });
//   …
//   assert.deepEqual(ai.problems, []);
//
// In a process of its own (`node tests/fakes/ai-provider.mjs [port]`) rules come by `POST /control`:
// `{"match": {…}, "behaviour": {…}, "times": 1}`, and `DELETE /control` forgets them.

import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { answerTo } from './ai/answer.mjs';
import { anthropic } from './ai/anthropic.mjs';
import { Mistakes } from './ai/check.mjs';
import { gemini } from './ai/gemini.mjs';
import { ollama } from './ai/ollama.mjs';
import { dialect } from './ai/openai.mjs';

const DIALECTS = { gemini, openai: dialect('openai'), groq: dialect('groq'), deepseek: dialect('deepseek'), anthropic, local: ollama };
const PATHS = { gemini: '/v1beta', openai: '/v1', groq: '/openai/v1', deepseek: '/v1', anthropic: '/v1', local: '' };
/** What the lists of models say. */
const MODELS = ['model-a', 'model-b'];
/** So many calls are kept whole. */
const KEPT = 20_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function readBody(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Writes, and waits where the other side is slow; false when it is gone. */
async function write(response, data) {
  if (response.destroyed) return false;
  if (!response.write(data)) {
    await new Promise((resolve) => {
      const done = () => {
        response.off('drain', done).off('close', done);
        resolve();
      };
      response.on('drain', done).on('close', done);
    });
  }
  return !response.destroyed;
}

class AiProvider {
  /** Calls, oldest first: `{provider, key, model, stream, body, headers, at, status, aborted}`. */
  calls = [];
  /** Everything that was sent wrongly, in sentences. */
  problems = [];
  #rules = [];
  #count = 0;

  /**
   * Tells how to behave: to calls of this provider, key or model, the newest rule first.
   *
   * @param {{provider?: string, key?: string, model?: string, stream?: boolean}} match
   * @param {object|Function} behaviour see `#answer`; a function is handed the call and how often the rule held before
   * @param {{times?: number}} [limits] how often it holds
   */
  on(match, behaviour, { times = Infinity } = {}) {
    this.#rules.unshift({ match, behaviour, left: times, held: 0 });
    return this;
  }

  /** Forgets all rules, calls and problems. */
  clear() {
    this.#rules = [];
    this.calls.length = 0;
    this.problems.length = 0;
  }

  #behaviour(call) {
    const rule = this.#rules.find(({ match, left }) => left > 0 && Object.entries(match).every(([name, value]) => call[name] === value));
    if (!rule) return {};
    rule.left -= 1;
    rule.held += 1;
    return typeof rule.behaviour === 'function' ? rule.behaviour(call, rule.held - 1) ?? {} : rule.behaviour;
  }

  async listen(port = 0, host = '127.0.0.1') {
    this.server = http.createServer((incoming, response) => {
      this.#serve(incoming, response).catch((error) => {
        this.problems.push(`the fake itself: ${error.stack}`);
        response.destroy();
      });
    });
    this.server.keepAliveTimeout = 60_000;
    await new Promise((resolve, reject) => this.server.once('error', reject).listen(port, host, resolve));
    // Whoever has nothing else to do may end.
    this.server.unref();
    this.url = `http://${host}:${this.server.address().port}`;
    this.baseUrls = Object.fromEntries(Object.entries(PATHS).map(([name, path]) => [name, `${this.url}/${name}${path}`]));
    /** The variable that leads the worker here. */
    this.vars = { AI_BASE_URLS: Object.entries(this.baseUrls).map((pair) => pair.join('=')).join(',') };
    return this;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  async #serve(incoming, response) {
    const url = new URL(incoming.url, this.url);
    if (url.pathname === '/control') return this.#control(incoming, response);
    const [, provider, path] = url.pathname.match(/^\/([a-z]+)(\/.*)$/) ?? [];
    const speaks = Object.hasOwn(DIALECTS, provider ?? '') ? DIALECTS[provider] : undefined;
    if (!speaks) return response.writeHead(404).end('no such provider');
    const text = await readBody(incoming);
    const call = { provider, key: speaks.keyOf(incoming.headers), headers: incoming.headers, at: Date.now(), aborted: false };
    const json = (status, body, headers = {}) => {
      call.status = status;
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    };
    if (incoming.method === 'GET' && speaks.models(path)) return this.#models(speaks, call, response, json);
    const chat = incoming.method === 'POST' && speaks.chat(path, url.search);
    if (!chat) {
      this.problems.push(`${provider}: ${incoming.method} ${incoming.url} is no endpoint`);
      return json(404, speaks.error(404, { message: 'Not found' }));
    }
    if (this.calls.length < KEPT) this.calls.push(call);
    response.on('close', () => {
      call.aborted = !response.writableFinished;
    });
    const mistakes = new Mistakes();
    try {
      call.body = JSON.parse(text);
    } catch {
      mistakes.add('', 'is no JSON');
    }
    call.model = chat.model ?? call.body?.model;
    mistakes.unless(/^application\/json\b/.test(incoming.headers['content-type'] ?? ''), 'content-type', 'must be application/json');
    mistakes.unless(!chat.wrong, 'query', chat.wrong);
    mistakes.unless(call.key || speaks.keyless, 'key', 'is missing');
    speaks.checkHeaders?.(incoming.headers, mistakes);
    if (!mistakes.list.length) speaks.check(call.body, mistakes, call.model);
    if (mistakes.list.length) {
      this.problems.push(...mistakes.list.map((it) => `${provider} ${call.model}: ${it}`));
      return json(400, speaks.error(400, { message: mistakes.list.join('; ') }));
    }
    call.stream = chat.stream ?? speaks.streams(call.body);
    this.#count += 1;
    return this.#answer(speaks, call, await this.#behaviour(call), response);
  }

  async #control(incoming, response) {
    if (incoming.method === 'DELETE') this.clear();
    if (incoming.method === 'POST') {
      const { match = {}, behaviour = {}, times } = JSON.parse(await readBody(incoming));
      this.on(match, behaviour, { times: times ?? Infinity });
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ calls: this.#count, problems: this.problems }));
  }

  /** The list of models, which is how a key is looked at without a call. Rules for keys hold here as well. */
  async #models(speaks, call, response, json) {
    call.probe = true;
    if (!call.key && !speaks.keyless) return json(401, speaks.error(401, { message: 'No key' }));
    const { status = 200, code, message = 'Refused', delay = 0, ...rest } = await this.#behaviour(call);
    if (delay) await pause(delay);
    if (rest.drop) return response.destroy();
    return status === 200 ? json(200, speaks.modelList(MODELS)) : json(status, speaks.error(status, { code, message, ...rest }), headersOf(rest));
  }

  /** Behaves: what it says (`text`, `calls`, `refusal`, `finish`, `usage`), what is wrong with it, and how slow it is. */
  async #answer(speaks, call, wish, response) {
    const { status = 200, delay = 0, code, message = 'Something is wrong.' } = wish;
    if (delay) await pause(delay);
    if (wish.drop) return response.destroy();
    if (wish.hang) return undefined;
    call.status = status;
    const about = { id: `answer-${this.#count}`, model: call.model, body: call.body };
    const headers = { ...(speaks.idHeader && { [speaks.idHeader]: `req-${this.#count}` }), ...headersOf(wish) };
    const head = (type) => response.writeHead(status, { 'content-type': wish.contentType ?? type, ...headers });
    const send = (text) => slowly(response, text, wish);
    if (wish.html) {
      head('text/html');
      return send('<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>');
    }
    if (wish.body !== undefined) {
      head('application/json');
      return send(typeof wish.body === 'string' ? wish.body : JSON.stringify(wish.body));
    }
    if (status !== 200) {
      head('application/json');
      return send(JSON.stringify(speaks.error(status, { ...wish, code, message })));
    }
    const answer = { ...answerTo(speaks.question(call.body), wish), blocked: wish.blocked };
    if (!call.stream) {
      head('application/json; charset=utf-8');
      const text = JSON.stringify(speaks.whole(answer, about));
      if (wish.huge) return huge(response, text, wish.huge);
      if (wish.endless) return huge(response, text, Infinity);
      if (wish.cut !== undefined) return slowly(response, text.slice(0, text.length / 2), { destroy: true });
      return send(wish.garbage ? `${text.slice(0, -5)}}}]` : text);
    }
    head(speaks.streamType);
    response.flushHeaders();
    return stream(response, speaks, speaks.chunks(answer, about), { ...wish, code, message });
  }
}

const headersOf = ({ headers = {}, retryAfter }) => ({ ...headers, ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }) });

/** A body in small pieces with pauses between them, when it is told to. */
async function slowly(response, text, { dribble, destroy }) {
  if (dribble) {
    for (const piece of text.match(/.{1,8}/gs)) {
      if (!await write(response, piece)) return;
      await pause(dribble);
    }
  } else await write(response, text);
  if (destroy) breakOff(response);
  else response.end();
}

/** Ends the connection in the middle of the body; what was written arrives. */
const breakOff = (response) => response.socket?.end();

/** A body that goes on and on: spaces are allowed before JSON ends. */
async function huge(response, text, bytes) {
  const block = ' '.repeat(65_536);
  if (!await write(response, text.slice(0, -1))) return;
  for (let sent = 0; sent < bytes; sent += block.length) {
    if (!await write(response, block)) return;
    // Others have something to say as well.
    await pause(0);
  }
  response.end(text.slice(-1));
}

/** A stream, chunk by chunk. */
async function stream(response, speaks, chunks, wish) {
  const { gap = 0, cut = Infinity, errorAfter = Infinity, errorStatus = 500, keepAlive = 0 } = wish;
  for (let sent = 0; sent < keepAlive; sent += 1) {
    if (!await write(response, sent % 2 ? '\n' : ': keep-alive\n\n')) return undefined;
    await pause(gap || 5);
  }
  if (wish.garbage) await write(response, speaks === ollama ? '{"message":{"content"\n' : 'data: {"choices":[{"del\n\n');
  if (wish.huge) {
    for (let sent = 0; sent < wish.huge; sent += 65_536) {
      if (!await write(response, 'x'.repeat(65_536))) return undefined;
    }
  }
  let pieces = 0;
  do {
    for (const { text, piece } of chunks) {
      if (piece && pieces >= errorAfter) {
        await write(response, speaks.errorInStream(errorStatus, wish));
        return response.end();
      }
      if (piece && pieces >= cut) return breakOff(response);
      if (wish.endless && !piece && pieces) continue;
      if (piece && gap && pieces) await pause(gap);
      if (wish.dribble) {
        for (const part of text.match(/.{1,8}/gs)) {
          if (!await write(response, part)) return undefined;
          await pause(wish.dribble);
        }
      } else if (!await write(response, text)) return undefined;
      pieces += piece ? 1 : 0;
    }
    if (wish.endless) await pause(gap || 1);
  } while (wish.endless);
  // Where there were fewer pieces than that, it is cut before its end.
  if (cut !== Infinity) return breakOff(response);
  return response.end();
}

/** Starts the provider. */
export function startAiProvider({ port, host } = {}) {
  return new AiProvider().listen(port, host);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const ai = await startAiProvider({ port: Number(process.argv[2] ?? 0) });
  ai.server.ref();
  process.stdout.write(`${ai.url}\n`);
}
