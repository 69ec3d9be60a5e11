// The configuration of the system.

import { randomInt } from 'node:crypto';

// Another value each time: setting what is so already is no change. One that no other file feels.
const another = async () => ({ body: { 'system_events.retention_days': randomInt(1000, 3650) } });

export default {
  'GET /api/settings': { permission: 'settings:read', belongsToNoTenant: true },
  'PATCH /api/settings': { permission: 'settings:write', make: another },
  'GET /api/settings/{key}': {
    permission: 'settings:read', belongsToNoTenant: true, make: async () => ({ key: 'telemetry.enabled' }),
  },
};
