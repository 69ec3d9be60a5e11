// What becomes of an object when the instance of WebAssembly that its core belongs to comes to an end: the real classes,
// with a core in the place of WebAssembly's that says what it knows.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startSmallWorker } from './support/small-worker.mjs';

const file = (path) => fileURLToPath(new URL(`../src/entry/${path}`, import.meta.url));

/** Like what wasm-bindgen makes. Its core reads its rows before it is told of anything else, and keeps a list. */
const BUNDLE = `
const state = { criticalError: false, instanceId: 0 };
export const __worker_init_state = () => state;
export const __wbg_reset_state = () => {
  state.instanceId += 1;
};

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
    if (what === 'panic') throw new WebAssembly.RuntimeError('unreachable');
    if (what === 'add') {
      this.#list = [...this.#list, text];
      this.#storage.put('list', this.#list);
    }
    return this.#list.join(' ');
  }

  alarm() {}
}
`;

const WORKER = `
export { LicenseObject } from ${JSON.stringify(file('objects.mjs'))};

export default {
  async fetch(request, env) {
    const [name, questions] = await request.json();
    const object = env.LICENSE.getByName(name);
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
    contents: WORKER, objects: { LICENSE: 'LicenseObject' },
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

const ask = async (name, ...questions) => {
  const response = await fetch(worker.url, { method: 'POST', body: JSON.stringify([name, questions]) });
  return response.json();
};

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
