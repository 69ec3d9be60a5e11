// The worker's WebAssembly, under the name that the build gives it. A panic ends an instance: whoever
// comes next finds a new one.

import * as bundle from 'celaest-wasm';

export { bundle };

const state = bundle.__worker_init_state();

/** Which instance this is; what was made by another is gone. */
export const generation = () => state.instanceId;

/** Those who wait for what this instance promised, by how they hear that nothing comes of it. */
const waiting = new Set();

/** Whether this instance came to an end; the worker says so itself, wherever it panics. */
let hasEnded = false;

Object.defineProperty(state, 'criticalError', {
  get: () => hasEnded,
  set: (value) => {
    hasEnded = value;
    if (!value) return;
    waiting.forEach((reject) => reject(new Error('the instance of the worker came to an end')));
    waiting.clear();
  },
});

/** What the instance promised, or its end: what belongs to an instance that ended never settles. */
function unlessItEnds(promised) {
  // Made like this it lets its own request go on, whichever one the instance ends in; see `together.mjs`.
  const { promise, resolve, reject } = Promise.withResolvers();
  waiting.add(reject);
  const settled = (settle) => (value) => {
    waiting.delete(reject);
    settle(value);
  };
  promised.then(settled(resolve), settled(reject));
  return promise;
}

/** Does `work` in the worker, in a new instance if the last one came to an end; whoever waits for it hears of its end. */
export function enter(work) {
  if (state.criticalError) {
    bundle.__wbg_reset_state();
    state.criticalError = false;
  }
  try {
    const made = work();
    return made instanceof Promise ? unlessItEnds(made) : made;
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
    throw error;
  }
}
