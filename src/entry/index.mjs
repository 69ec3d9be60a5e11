// What the platform loads: the three doors of `src/lib.rs`, and the Durable Objects.

import { bundle, enter } from './instance.mjs';
import { answer } from './http.mjs';

export { CallerObject, KeyPoolObject, LicenseObject, SealHeadObject, TaskRunnerObject, WebhookObject } from './objects.mjs';

export default {
  fetch: (request, env, context) => answer(request, env, context),
  queue: (batch, env, context) => enter(() => bundle.queue(batch, env, context)),
  scheduled: (event, env, context) => enter(() => bundle.scheduled(event, env, context)),
};
