// The system itself: dead letters and its state.

import { createHash, randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

/** A message that nobody could deal with; the consumer of its queue finds nothing to do in it. */
const letter = async ({ stack }) => {
  const id = randomUUID();
  const body = JSON.stringify({ from: {}, events: [], note: id });
  await insert(stack, 'dead_letters', {
    id, queue: 'celaest-telemetry', body, body_hash: createHash('sha256').update(body).digest('hex'), reason: 'Walk', queued_at: new Date(),
  });
  return { id };
};

const one = { make: letter, belongsToNoTenant: true };

export default {
  'GET /api/system/status': { permission: 'system:read' },
  'GET /api/system/dead-letters': { permission: 'system:read' },
  'GET /api/system/dead-letters/{id}': { ...one, permission: 'system:read' },
  'POST /api/system/dead-letters/{id}/replay': { ...one, permission: 'system:write', status: 202, body: {} },
  'DELETE /api/system/dead-letters/{id}': { ...one, permission: 'system:write', status: 204 },
};
