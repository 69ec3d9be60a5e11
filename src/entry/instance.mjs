// The worker's WebAssembly, under the name that the build gives it. A panic ends an instance: whoever
// comes next finds a new one.

import * as bundle from 'celaest-wasm';

export { bundle };

const state = bundle.__worker_init_state();

/** Which instance this is; what was made by another is gone. */
export const generation = () => state.instanceId;

/** Does `work` in the worker, in a new instance if the last one came to an end. */
export function enter(work) {
  if (state.criticalError) {
    bundle.__wbg_reset_state();
    state.criticalError = false;
  }
  try {
    return work();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
    throw error;
  }
}
