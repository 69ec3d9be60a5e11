// What becomes of an object when the instance of WebAssembly that its core belongs to comes to an end: the real classes,
// with a core in the place of WebAssembly's that says what it knows.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventuallyHolds } from './support/eventually.mjs';
import { startSmallWorker } from './support/small-worker.mjs';

const file = (path) => fileURLToPath(new URL(`../src/entry/${path}`, import.meta.url));

/**
 * Like what wasm-bindgen makes. Its core reads its rows before it is told of anything else, and keeps a list. The first
 * of each kind of longer work comes to no end by itself.
 */
const BUNDLE = `
const state = { criticalError: false, instanceId: 0 };
export const __worker_init_state = () => state;
export const __wbg_reset_state = () => {
  state.instanceId += 1;
};

const begun = { alarm: 0, tasks: 0, store: 0 };
const work = (kind) => {
  begun[kind] += 1;
  return begun[kind] === 1 ? new Promise(() => {}) : Promise.resolve();
};
export const tasks = () => work('tasks');

export class ObjectDoor {
  #storage;
  #list = [];

  constructor(name, context) {
    this.#storage = context.storage;
    context.blockConcurrencyWhile(async () => {
      const rows = await context.storage.list();
      this.#list = rows.get('list') ?? [];
    });
  }

  ask(what, text) {
    if (what === 'reset') begun.store = 0;
    if (what === 'begun') return JSON.stringify(begun);
    if (what === 'wake') return this.#storage.setAlarm(Date.now()).then(() => '');
    if (what === 'store') return work('store').then(() => 'stored');
    // As when a promise goes on that was made before: nobody sees what is thrown there.
    if (what === 'panic later') return void setTimeout(() => { state.criticalError = true; }, 10);
    if (what === 'panic') throw new WebAssembly.RuntimeError('unreachable');
    if (what === 'add') {
      this.#list = [...this.#list, text];
      this.#storage.put('list', this.#list);
    }
    return this.#list.join(' ');
  }

  alarm() {
    return work('alarm');
  }
}
`;

const WORKER = `
export { LicenseObject, TaskRunnerObject } from ${JSON.stringify(file('objects.mjs'))};

export default {
  async fetch(request, env) {
    const [name, questions, binding] = await request.json();
    const object = env[binding].getByName(name);
    try {
      const replies = questions.length > 1 ? await object.askAll(questions) : [await object.ask(...questions[0])];
      return Response.json(replies.map((reply) => (reply instanceof Error ? { error: reply.message } : reply)));
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};
`;

let worker;

before(async () => {
  worker = await startSmallWorker({
    contents: WORKER, objects: { LICENSE: 'LicenseObject', RUNNER: 'TaskRunnerObject' },
    plugins: [{
      name: 'celaest-wasm',
      setup({ onResolve, onLoad }) {
        onResolve({ filter: /^celaest-wasm$/ }, () => ({ path: 'core', namespace: 'core' }));
        onLoad({ filter: /.*/, namespace: 'core' }, () => ({ contents: BUNDLE, loader: 'js' }));
      },
    }],
  });
});
after(() => worker?.stop());

const askOf = async (binding, name, ...questions) => {
  const response = await fetch(worker.url, { method: 'POST', body: JSON.stringify([name, questions, binding]) });
  return response.json();
};
const ask = (...told) => askOf('LICENSE', ...told);

/** Like callers do: once more when the object was lost. */
const askTwice = async (...told) => {
  const replies = await ask(...told);
  return replies.error ? ask(...told) : replies;
};

test('after a panic an object knows what it had stored before it is told more', async () => {
  assert.deepEqual(await ask('one', ['add', 'a']), ['a']);
  assert.deepEqual(await ask('other', ['add', 'x']), ['x']);
  assert.match((await ask('one', ['panic', ''])).error, /unreachable/);
  // Those of another object too: all of them lived in that instance.
  assert.deepEqual(await askTwice('other', ['add', 'y']), ['x y']);
  assert.deepEqual(await askTwice('one', ['add', 'b']), ['a b']);
  assert.deepEqual(await ask('one', ['show', '']), ['a b']);
});

test('a panic among questions that came together', async () => {
  assert.deepEqual(await ask('together', ['add', 'a'], ['add', 'b']), ['a', 'a b']);
  await ask('together', ['add', 'c'], ['panic', ''], ['add', 'd']);
  const [list] = await askTwice('together', ['show', '']);
  // What was answered before it is not lost, whatever became of what came after it.
  assert.match(list, /^a b c( d)?$/);
  assert.deepEqual(await ask('together', ['add', 'e']), [`${list} e`]);
});

describe('whoever waits for an instance that comes to an end', () => {
  const begun = async () => JSON.parse((await askTwice('counting', ['begun', '']))[0]);
  const wake = () => askOf('RUNNER', 'runner', ['', '']);

  test('hears of it: who asked, an alarm, and one that does tasks is at work again', async () => {
    const stored = ask('storing', ['store', '']);
    assert.deepEqual(await ask('woken', ['wake', '']), ['']);
    assert.deepEqual(await wake(), ['yes']);
    await eventuallyHolds(async () => assert.deepEqual(await begun(), { alarm: 1, tasks: 1, store: 1 }));
    assert.deepEqual(await wake(), [''], 'it is at work');

    await ask('other', ['panic', '']);
    assert.match((await stored).error, /came to an end/);
    await eventuallyHolds(async () => assert.deepEqual(await begun(), { alarm: 2, tasks: 2, store: 1 }));
    // It has done, and counts as idle.
    await eventuallyHolds(async () => assert.deepEqual(await wake(), ['yes']));
  });

  test('also when nobody comes after the panic', async () => {
    await ask('storing', ['reset', '']);
    const stored = ask('storing', ['store', '']);
    await ask('other', ['panic later', '']);
    assert.match((await stored).error, /came to an end/);
    assert.deepEqual(await askTwice('storing', ['store', '']), ['stored']);
  });
});
