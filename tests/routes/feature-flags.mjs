// Feature flags: definitions are the super administrator's, values everybody's.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

const flag = async ({ stack }) => {
  const key = `route-${randomUUID()}`;
  await insert(stack, 'feature_flags', { flag_key: key, name: 'Route', is_enabled: true });
  return { key };
};

const NEW = { name: 'Route' };
const write = { permission: 'feature_flags:write', make: flag };

export default {
  'GET /api/feature-flags': { permission: 'feature_flags:read' },
  'POST /api/feature-flags': {
    permission: 'feature_flags:write', status: 201, body: NEW,
    make: async () => ({ body: { ...NEW, flag_key: `route-${randomUUID()}` } }),
  },
  'GET /api/feature-flags/evaluate': { permission: 'flags:evaluate', belongsToNoTenant: true },
  'GET /api/feature-flags/{key}': { permission: 'feature_flags:read', make: flag },
  'PATCH /api/feature-flags/{key}': { ...write, body: { name: 'Renamed' } },
  'DELETE /api/feature-flags/{key}': { ...write, status: 204 },
  'POST /api/feature-flags/{key}/toggle': { ...write, body: {} },
  'GET /api/feature-flags/{key}/evaluate': { permission: 'flags:evaluate', belongsToNoTenant: true, make: flag },
};
