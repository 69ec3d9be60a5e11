// What the platform loads while `npm run coverage` runs: the worker, and a way to ask what it has executed.

import core from '../../../src/entry/index.mjs';
import { bundle, enter } from '../../../src/entry/instance.mjs';

export * from '../../../src/entry/index.mjs';

export default {
  ...core,
  fetch: (request, env, context) => (new URL(request.url).pathname === '/coverage'
    ? new Response(enter(() => bundle.coverage()))
    : core.fetch(request, env, context)),
};
