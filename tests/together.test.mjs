// What many ask of one object at once leaves together: on a worker of its own, whose object counts messages.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSmallWorker } from './support/small-worker.mjs';

const TOGETHER = fileURLToPath(new URL('../src/entry/together.mjs', import.meta.url));

/** Its object answers with what it was told, after a while; it can throw, and it counts. */
const WORKER = `
import { DurableObject } from 'cloudflare:workers';
import { ask, replies } from ${JSON.stringify(TOGETHER)};

/** Whether somebody leads those who wait for it. */
let isLed = false;

export class Counting extends DurableObject {
  messages = 0;
  largest = 0;
  ask(what, text) {
    this.messages += 1;
    return this.answer(what, text);
  }
  async answer(what, text) {
    if (what === 'stats') return JSON.stringify({ messages: this.messages - 1, largest: this.largest });
    if (what === 'throw') throw new Error('thrown for ' + text);
    if (what === 'die') this.ctx.abort('it died');
    if (what === 'lead') {
      // Four leave at once; the fifth waits for company, which it does not live to see.
      for (let n = 0; n < 5; n += 1) ask(this.env, 'COUNTING', text, 'echo', 'led').catch(() => {});
      this.ctx.abort('it died');
    }
    if (what === 'lead and leave') {
      // Those who wait for the fifth come along, and the object takes longer to reply than it lives.
      for (let n = 0; n < 5; n += 1) ask(this.env, 'COUNTING', text, 'slow', 'led').catch(() => {});
      isLed = true;
      await scheduler.wait(100);
      this.ctx.abort('it died');
    }
    if (what === 'add') {
      const sum = 1 + ((await this.ctx.storage.get('sum')) ?? 0);
      await this.ctx.storage.put('sum', sum);
      return String(sum);
    }
    await scheduler.wait({ slow: 300, long: 6_000 }[what] ?? 5);
    return what + ' ' + text.slice(0, 40);
  }
  async askAll(questions) {
    this.messages += 1;
    this.largest = Math.max(this.largest, questions.length);
    return replies({ ask: (what, text) => this.answer(what, text) }, questions);
  }
}

export default {
  async fetch(request, env) {
    const [name, what, text] = await request.json();
    // Whatever was made for another request cannot be used here: the platform would throw.
    const mine = new Response(null).headers;
    while (text === 'follow' && !isLed) await scheduler.wait(0);
    try {
      const reply = await ask(env, 'COUNTING', name, what, text);
      mine.set('x-mine', 'yes');
      return Response.json({ reply }, { headers: mine });
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};
`;

let worker;

before(async () => {
  worker = await startSmallWorker({ contents: WORKER, objects: { COUNTING: 'Counting' } });
});
after(() => worker?.stop());

const ask = async (name, what, text, options) => {
  const response = await fetch(worker.url, { method: 'POST', body: JSON.stringify([name, what, text]), ...options });
  assert.equal(response.status, 200);
  return response.json();
};
const stats = async (name) => JSON.parse((await ask(name, 'stats', '')).reply);
const many = (count, each) => Promise.all(Array.from({ length: count }, (_, n) => each(n)));

test('who comes alone, or with a few, leaves at once', async () => {
  assert.deepEqual(await ask('few', 'echo', 'one'), { reply: 'echo one' });
  await many(4, (n) => ask('few', 'echo', `${n}`));
  assert.deepEqual(await stats('few'), { messages: 5, largest: 0 });
});

test('many at once are a few messages, and each gets the reply to its own', async () => {
  for (let round = 0; round < 3; round += 1) {
    const replies = await many(300, (n) => ask('many', 'echo', `${round}-${n}`));
    replies.forEach(({ reply }, n) => assert.equal(reply, `echo ${round}-${n}`));
  }
  const { messages, largest } = await stats('many');
  assert.ok(messages < 300, `${messages} messages`);
  assert.ok(largest > 4 && largest <= 64, `${largest} in one message`);
});

test('objects do not wait for each other', async () => {
  const replies = await many(200, (n) => ask(`one of ${n % 50}`, 'echo', `${n}`));
  replies.forEach(({ reply }, n) => assert.equal(reply, `echo ${n}`));
  for (const n of [0, 49]) assert.deepEqual(await stats(`one of ${n}`), { messages: 4, largest: 0 });
});

test('what is thrown for one is not thrown for those who came along', async () => {
  const answers = await many(200, (n) => ask('throwing', n % 7 === 0 ? 'throw' : 'echo', `${n}`));
  answers.forEach((answer, n) => assert.deepEqual(
    answer, n % 7 === 0 ? { error: `thrown for ${n}` } : { reply: `echo ${n}` },
  ));
});

test('questions that are too large together go in several messages', async () => {
  const large = 'x'.repeat(200 * 1024);
  const replies = await many(60, (n) => ask('large', 'echo', `${n} ${large}`));
  replies.forEach(({ reply }, n) => assert.ok(reply.startsWith(`echo ${n} x`)));
  assert.ok((await stats('large')).largest <= 2);
});

test('an object that dies takes only those with it who were on their way', async () => {
  const answers = await many(100, async (n) => {
    await sleep(n * 10);
    return ask('dying', n === 40 ? 'die' : 'echo', `${n}`);
  });
  assert.ok(answers.every(({ reply, error }, n) => (reply ? reply === `echo ${n}` : error)));
  assert.ok(answers.filter(({ reply }) => reply).length >= 10);
  assert.deepEqual(await ask('dying', 'echo', 'after'), { reply: 'echo after' });
});

test('whoever leaves takes nobody along', async () => {
  for (let round = 0; round < 5; round += 1) {
    const answers = await many(200, async (n) => {
      // Every third one hangs up within the time that its question takes, whether it leads or came along.
      if (n % 3) return ask('leaving', 'echo', `${n}`);
      const signal = AbortSignal.timeout(1 + (n % 25));
      return ask('leaving', 'echo', `${n}`, { signal }).catch((error) => {
        assert.equal(error.name, 'TimeoutError');
        return null;
      });
    });
    answers.forEach((answer, n) => answer && assert.deepEqual(answer, { reply: `echo ${n}` }));
    assert.ok(answers.filter(Boolean).length >= 133);
  }
});

test('what waits for its storage is not disturbed by those who came along', async () => {
  const sums = await many(200, () => ask('adding', 'add', ''));
  assert.ok((await stats('adding')).largest > 4);
  assert.deepEqual(sums.map(({ reply }) => Number(reply)).sort((one, other) => one - other), sums.map((_, n) => n + 1));
});

test('whoever was to lead and died does not keep others waiting', async () => {
  assert.ok((await ask('leading', 'lead', 'led')).error);
  const replies = await many(20, (n) => ask('led', 'echo', `${n}`));
  replies.forEach((reply, n) => assert.deepEqual(reply, { reply: `echo ${n}` }));
});

test('whoever dies on the way with others is missed within seconds', async () => {
  const began = performance.now();
  const following = many(60, () => ask('led away', 'echo', 'follow'));
  await sleep(50);
  assert.ok((await ask('leading', 'lead and leave', 'led away')).error);
  const answers = await following;
  const lost = answers.filter(({ error }) => error);
  assert.ok(lost.length > 0 && answers.every(({ reply, error }) => error || reply === 'echo follow'), `${lost.length} lost`);
  assert.ok(performance.now() - began < 10_000, `${performance.now() - began} ms`);
  assert.deepEqual(await ask('led away', 'echo', 'after'), { reply: 'echo after' });
});

test('who comes along with one that takes long waits for it', async () => {
  const replies = await many(20, (n) => ask('long', n % 10 ? 'echo' : 'long', `${n}`));
  replies.forEach(({ reply }, n) => assert.equal(reply, `${n % 10 ? 'echo' : 'long'} ${n}`));
});
