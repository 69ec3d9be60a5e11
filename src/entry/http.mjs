// Requests, in one step into the worker and one out: the head of a request goes in as one text, and the
// answer comes back as one. Each look of the worker at a header would be a call of its own.

import { bundle, enter } from './instance.mjs';
import { ask } from './together.mjs';

/** The headers the worker reads, in the order of `src/platform/incoming.rs`. */
const READ = [
  'x-request-id', 'accept-language', 'cf-connecting-ip', 'user-agent', 'origin', 'access-control-request-method',
  'authorization', 'x-api-key', 'idempotency-key', 'content-length', 'content-type', 'content-encoding',
  'stripe-signature',
  'if-none-match', 'cf-ipcountry',
];

/** Those of programs that speak one of the contracts under `/v1/`. */
const CONTRACTS = ['x-organization-id', 'x-user-id', 'x-license-id'];

/** A body of up to so many bytes is read at once and goes along with the head. */
const SMALL = 16 * 1024;

/** The headers that every answer has; they keep browsers from doing harm with it. */
const COMMON = new Headers({
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  vary: 'Origin, Accept-Language',
  'cache-control': 'no-store',
});

/** The rest of a request, for the worker to ask for. */
class Rest {
  #request;

  constructor(request) {
    this.#request = request;
  }

  /** At most `limit` bytes of the body, or null when there are more: then nothing further is read. */
  async read(limit) {
    const parts = [];
    let length = 0;
    for await (const part of this.#request.body ?? []) {
      length += part.length;
      if (length > limit) return null;
      parts.push(part);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Resolves when whoever asked has left before the end of the answer. */
  left() {
    const { signal } = this.#request;
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

/** What stands for a header that is there and empty: no header can hold it, and nothing takes it for good. */
const EMPTY = '\0';

function headOf(request) {
  const { headers, url } = request;
  let head = '';
  const read = (name) => {
    const value = headers.get(name);
    head += `${value === '' ? EMPTY : value ?? ''}\n`;
  };
  READ.forEach(read);
  if (url.includes('/v1/')) CONTRACTS.forEach(read);
  else head += '\n'.repeat(CONTRACTS.length);
  return `${head}${request.method}\n${url}`;
}

/** The response that an answer's text describes; `body` replaces the one in the text. */
function responseOf(text, body) {
  const end = text.indexOf('\n\n');
  const lines = (end < 0 ? text : text.slice(0, end)).split('\n');
  // What all answers have is copied once, as it is; the rest is added to the copy.
  const response = new Response(body ?? (text.length > end + 2 ? text.slice(end + 2) : null), { status: Number(lines[0]), headers: COMMON });
  const { headers } = response;
  for (let index = 1; index < lines.length; index += 1) {
    const at = lines[index].indexOf(': ');
    headers.set(lines[index].slice(0, at), lines[index].slice(at + 2));
  }
  return response;
}

const settled = (answer) => (typeof answer === 'string' ? responseOf(answer) : responseOf(answer[0], answer[1].body));

/** Whether the worker asks an object something before it goes on: no answer begins like that. */
const isQuestion = (made) => typeof made === 'string' && made.startsWith('?');

/** Puts a question of the worker to the object that it is for: three lines say which, and what is asked. */
function put(question, env) {
  const [binding, name, what] = question.split('\n', 3);
  return ask(env, binding.slice(1), name, what, question.slice(binding.length + name.length + what.length + 3));
}

/** How many requests there were: their number tells them apart, in whichever instance of the worker. */
let turns = 0;

/** Answers one request. */
export async function answer(request, env, context) {
  const length = request.headers.get('content-length');
  // Read before the worker is entered: a second way in would cost as much as the first.
  const body = length > 0 && length <= SMALL ? new Uint8Array(await request.arrayBuffer()) : undefined;
  turns += 1;
  const turn = turns;
  let made = enter(() => bundle.serve(turn, headOf(request), body, new Rest(request), env, context));
  while (isQuestion(made)) {
    let goOn;
    try {
      const reply = await put(made, env);
      goOn = () => bundle.replied(turn, reply);
    } catch (thrown) {
      goOn = () => bundle.failed(turn, thrown);
    }
    made = enter(goOn);
  }
  return settled(typeof made === 'string' ? made : await made);
}
