// What programs report of themselves.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

/** An error that somebody reported. */
const event = async ({ stack, ours }, owner) => {
  const id = randomUUID();
  await insert(stack, 'telemetry_events', {
    id, organization_id: ours.id, user_id: owner, event_type: 'error', event_name: `failed-${id}`,
  });
  return { id };
};

const read = { permission: 'telemetry:read', rowsOfNewTenant: 0, make: event };

export default {
  'POST /api/telemetry': {
    permission: 'telemetry:write', status: 202, leavesNoAuditRow: true, body: { events: [{ event_type: 'page', event_name: 'opened' }] },
  },
  'GET /api/telemetry': read,
  'GET /api/telemetry/errors': read,
  'GET /api/telemetry/events/{key}': {
    ...read, anyNameIsFine: true, make: async (world, owner) => ({ ...await event(world, owner), key: 'error' }),
  },
};
