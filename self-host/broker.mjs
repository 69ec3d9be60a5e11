// Queues and cron for a runtime that has none: one object for each queue, which keeps its messages in its own
// database until the consumer has dealt with them, and one that is the clock.
//
// As on Cloudflare, a message comes at least once and in any order; it comes again when its consumer asked for
// that, failed, or went away, and goes to the dead-letter queue after the last time.

import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';
import { isDue } from './cron.mjs';

/** As on the platform: what one message and one batch may weigh, in bytes, and how many a batch may have. */
const MOST_BYTES = 128_000;
const MOST_BATCH_BYTES = 288_000;
const MOST_BATCH = 100;
/** What all waiting messages of a queue may weigh; more is refused, and the sender's outbox keeps it. */
const MOST_BACKLOG_BYTES = 2_000_000_000;
/** A consumer that has not answered by then has failed, as on the platform. */
const PATIENCE_MS = 15 * 60_000;

const BODIES = {
  text: (bytes) => ({ body: new TextDecoder().decode(bytes) }),
  json: (bytes) => ({ body: JSON.parse(new TextDecoder().decode(bytes)) }),
  bytes: (bytes) => ({ body: new Uint8Array(bytes) }),
  v8: (bytes) => ({ serializedBody: new Uint8Array(bytes) }),
};

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** What the binding of a producer talks to; `props.queue` is the queue's name. */
export class Queue extends WorkerEntrypoint {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    const queue = this.env.QUEUES.getByName(this.ctx.props.queue);
    const delay = Number(request.headers.get('x-msg-delay-secs') ?? 0);
    if (pathname === '/message') {
      const message = { format: request.headers.get('x-msg-fmt') ?? 'v8', body: await request.arrayBuffer(), delay };
      return queue.put(this.ctx.props.queue, [message]).then(answer, refusal);
    }
    if (pathname === '/batch') {
      const { messages } = await request.json();
      const list = messages.map(({ contentType = 'v8', body, delaySecs = delay }) => ({ format: contentType, body: bytesOf(body).buffer, delay: delaySecs }));
      return queue.put(this.ctx.props.queue, list).then(answer, refusal);
    }
    return new Response(null, { status: 404 });
  }
}

const answer = (metrics) => Response.json({ metadata: { metrics } });
const refusal = (error) => new Response(error.message, { status: 413 });

/** One queue. */
export class QueueObject extends DurableObject {
  #sql;

  constructor(context, env) {
    super(context, env);
    this.#sql = context.storage.sql;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS queue (name TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS messages (
        id TEXT PRIMARY KEY, format TEXT NOT NULL, body BLOB NOT NULL, bytes INTEGER NOT NULL,
        queued_at INTEGER NOT NULL, due_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0);
      CREATE INDEX IF NOT EXISTS messages_due ON messages (due_at);`);
  }

  /**
   * Takes messages; they are stored when this is answered.
   *
   * @param {string} name of this queue
   * @param {{ format: string, body: ArrayBuffer, delay?: number, id?: string, queuedAt?: number }[]} messages
   */
  put(name, messages) {
    const weight = messages.reduce((sum, { body }) => sum + body.byteLength, 0);
    if (messages.length > MOST_BATCH || weight > MOST_BATCH_BYTES || messages.some(({ body }) => body.byteLength > MOST_BYTES)) {
      throw new Error('a message or a batch is too large');
    }
    if (messages.some(({ format }) => !(format in BODIES))) throw new Error('a message is of no known format');
    const { bytes } = this.metrics();
    if (bytes + weight > MOST_BACKLOG_BYTES) throw new Error('the queue is full');
    const now = Date.now();
    if (this.#sql.exec('SELECT name FROM queue').toArray().length === 0) this.#sql.exec('INSERT INTO queue VALUES (?)', name);
    for (const { format, body, delay = 0, id = crypto.randomUUID(), queuedAt = now } of messages) {
      // A dead letter that is handed over twice keeps its id.
      this.#sql.exec('INSERT INTO messages (id, format, body, bytes, queued_at, due_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        id, format, body, body.byteLength, queuedAt, now + delay * 1000);
    }
    return this.#wake(name).then(() => this.metrics());
  }

  /** How many messages wait, and what they weigh in bytes. */
  metrics() {
    const [row] = this.#sql.exec('SELECT count(*) AS backlogCount, coalesce(sum(bytes), 0) AS bytes FROM messages').toArray();
    return { ...row, backlogBytes: row.bytes };
  }

  /** Sets the alarm for the first message that is due: at once when a batch is full, else after the batch's time. */
  async #wake(name, after = 0) {
    const consumer = this.env.CONSUMERS[name];
    const [{ first, due }] = this.#sql.exec('SELECT min(due_at) AS first, count(*) FILTER (WHERE due_at <= ?) AS due FROM messages', Date.now()).toArray();
    if (first === null || !consumer) return;
    const pause = due >= consumer.batch ? 0 : consumer.timeout * 1000;
    const at = Math.max(first + pause, Date.now() + after);
    const set = await this.ctx.storage.getAlarm();
    if (set === null || at < set) await this.ctx.storage.setAlarm(at);
  }

  /** Hands over one batch; what is left sets the next alarm. */
  async alarm() {
    const [{ name }] = this.#sql.exec('SELECT name FROM queue').toArray();
    const consumer = this.env.CONSUMERS[name];
    const batch = this.#sql.exec('SELECT * FROM messages WHERE due_at <= ? ORDER BY due_at LIMIT ?', Date.now(), consumer.batch).toArray();
    if (batch.length > 0) await this.#deliver(name, consumer, batch);
    // After a failure of the consumer itself there is no hurry.
    await this.#wake(name);
  }

  async #deliver(name, consumer, batch) {
    // Counted first: a batch that takes the runtime with it comes to an end too.
    for (const { id } of batch) this.#sql.exec('UPDATE messages SET attempts = attempts + 1 WHERE id = ?', id);
    const messages = batch.map(({ id, format, body, queued_at: queuedAt, attempts }) => ({
      id, timestamp: new Date(queuedAt), attempts: attempts + 1, ...BODIES[format](body),
    }));
    const late = new Promise((_, fail) => setTimeout(() => fail(new Error('the consumer does not answer')), PATIENCE_MS));
    const result = await Promise.race([this.env.CORE.queue(name, messages), late])
      .catch((error) => ({ outcome: error.message, retryMessages: [], retryBatch: { retry: true } }));
    const again = new Map((result.retryMessages ?? []).map(({ msgId, delaySeconds }) => [msgId, delaySeconds]));
    const all = result.outcome !== 'ok' || result.retryBatch?.retry;
    for (const row of batch) {
      if (!all && !again.has(row.id)) this.#sql.exec('DELETE FROM messages WHERE id = ?', row.id);
      else if (row.attempts < consumer.retries) {
        const pause = again.get(row.id) ?? result.retryBatch?.delaySeconds ?? 1;
        this.#sql.exec('UPDATE messages SET due_at = ? WHERE id = ?', Date.now() + pause * 1000, row.id);
      } else {
        const dead = { id: row.id, format: row.format, body: row.body, queuedAt: row.queued_at };
        if (consumer.dead) await this.env.QUEUES.getByName(consumer.dead).put(consumer.dead, [dead]);
        this.#sql.exec('DELETE FROM messages WHERE id = ?', row.id);
      }
    }
  }
}

/** Rings every minute, for the jobs that are due in it. A minute in which nothing ran is not made up for. */
export class ClockObject extends DurableObject {
  async start() {
    if (await this.ctx.storage.getAlarm() === null) await this.#next();
  }

  #next() {
    return this.ctx.storage.setAlarm(Math.floor(Date.now() / 60_000 + 1) * 60_000);
  }

  async alarm() {
    const minute = Math.floor(Date.now() / 60_000) * 60_000;
    await this.#next();
    const due = this.env.CRONS.filter((cron) => isDue(cron, minute));
    await Promise.allSettled(due.map((cron) => this.env.CORE.scheduled({ cron, scheduledTime: new Date(minute) })));
  }
}

export default {
  /**
   * For an operator: `POST /run?cron=…` runs the jobs of an expression now (`time`, in Unix milliseconds, is when they
   * take it to be). Any other call starts the clock, and is told what waits in the queues.
   */
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === 'POST' && pathname === '/run') {
      const cron = searchParams.get('cron');
      if (!env.CRONS.includes(cron)) return new Response('no job has that expression\n', { status: 404 });
      const scheduledTime = new Date(Number(searchParams.get('time') ?? Date.now()));
      const { outcome } = await env.CORE.scheduled({ cron, scheduledTime });
      return new Response(`${outcome}\n`, { status: outcome === 'ok' ? 200 : 500 });
    }
    await env.CLOCK.getByName('clock').start();
    const names = Object.keys(env.CONSUMERS);
    const counts = await Promise.all(names.map((name) => env.QUEUES.getByName(name).metrics()));
    return Response.json(Object.fromEntries(names.map((name, index) => [name, counts[index].backlogCount])));
  },
};
