// The configuration of the system.

export default {
  'GET /api/settings': { permission: 'settings:read', belongsToNoTenant: true },
  'PATCH /api/settings': { permission: 'settings:write', body: { 'webhooks.max_per_organization': 20 } },
  'GET /api/settings/{key}': {
    permission: 'settings:read', belongsToNoTenant: true, make: async () => ({ key: 'telemetry.enabled' }),
  },
};
