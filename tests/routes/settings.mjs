// The configuration of the system.

import { randomInt } from 'node:crypto';

// Another value each time: setting what is so already is no change.
const another = async () => ({ body: { 'webhooks.max_per_organization': randomInt(50, 1000) } });

export default {
  'GET /api/settings': { permission: 'settings:read', belongsToNoTenant: true },
  'PATCH /api/settings': { permission: 'settings:write', make: another },
  'GET /api/settings/{key}': {
    permission: 'settings:read', belongsToNoTenant: true, make: async () => ({ key: 'telemetry.enabled' }),
  },
};
