// Plans: everybody sees what is offered, a super administrator makes and changes it.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

const plan = async ({ stack }) => {
  const id = randomUUID();
  await insert(stack, 'subscription_plans', { id, code: `route-${id}`, name: 'Route' });
  return { id };
};

const NEW = { name: 'Route', price_monthly: 9.9, limits: { max_users: 5 } };
const read = { permission: 'plans:read', belongsToNoTenant: true, errorWhenUnknown: 'PLAN_NOT_FOUND', make: plan };
const write = { permission: 'plans:write', errorWhenUnknown: 'PLAN_NOT_FOUND', make: plan };

export default {
  'GET /api/plans': { permission: 'plans:read', belongsToNoTenant: true },
  'POST /api/plans': {
    permission: 'plans:write', status: 201,
    make: async () => ({ body: { ...NEW, code: `r-${randomUUID()}` } }),
  },
  'GET /api/plans/{id}': read,
  'PATCH /api/plans/{id}': { ...write, body: { name: 'Renamed' } },
  'DELETE /api/plans/{id}': { ...write, status: 204 },
};
