// Stands in for the platform's queues. Where the worker is bound to it, it keeps messages until it is told to deliver
// them, and counts what the platform bills; without that, or when it is told to, it takes every message and forgets it.

/** What one operation covers, and what the platform adds to a message. */
const CHUNK_BYTES = 64_000;
const EXTRA_BYTES = 100;

const pending = new Map();
let forgets = false;
let counts = { messages: 0, operations: 0, batches: 0 };

const decode = (text) => Uint8Array.fromBase64(text);

/** The messages in a producer's request: one as it is, or several in base64. */
async function messagesOf(request) {
  if (!new URL(request.url).pathname.endsWith('/batch')) {
    return [{ bytes: new Uint8Array(await request.arrayBuffer()), format: request.headers.get('x-msg-fmt') }];
  }
  const { messages } = await request.json();
  return messages.map(({ body, contentType }) => ({ bytes: decode(body), format: contentType }));
}

async function take(queue, request) {
  for (const { bytes, format } of await messagesOf(request)) {
    if (format !== 'text') throw new Error(`a message for ${queue} is ${format} and not text`);
    const waiting = pending.get(queue) ?? [];
    pending.set(queue, waiting);
    waiting.push({ id: crypto.randomUUID(), timestamp: new Date(), attempts: 1, body: new TextDecoder().decode(bytes) });
    counts.messages += 1;
    // Written, read and deleted.
    counts.operations += 3 * Math.ceil((bytes.length + EXTRA_BYTES) / CHUNK_BYTES);
  }
}

/** Hands everything that waits to the worker, in batches as large as it takes. */
async function deliver({ CORE, SIZES }) {
  for (const [queue, waiting] of pending) {
    while (waiting.length) {
      const batch = waiting.splice(0, SIZES[queue] ?? 10);
      counts.batches += 1;
      const { outcome, retryBatch, retryMessages } = await CORE.queue(queue, batch);
      if (outcome !== 'ok' || retryBatch.retry || retryMessages.length) {
        throw new Error(`a batch of ${queue} was not accepted (${outcome}, ${retryMessages.length} to come again)`);
      }
    }
  }
}

/** What the bench asks: POST delivers, PUT makes it forget, DELETE begins anew; each tells the counts. */
async function answer(request, env) {
  try {
    if (request.method === 'POST') await deliver(env);
    if (request.method === 'PUT') forgets = true;
    if (request.method === 'DELETE') counts = { messages: 0, operations: 0, batches: 0 };
    return Response.json(counts);
  } catch (error) {
    return new Response(error.message, { status: 500 });
  }
}

export default {
  async fetch(request, env, { props }) {
    if (!props?.queue) return answer(request, env);
    if (env.CORE && !forgets) await take(props.queue, request);
    else await request.arrayBuffer();
    return Response.json({ metadata: { metrics: { backlogCount: 0, backlogBytes: 0, oldestMessageTimestamp: 0 } } });
  },
};
