// Organizations and their members.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

const ours = async ({ ours: { id } }) => ({ id });
const member = async ({ ours: { id }, createUser }) => ({ id, inner_id: await createUser() });
const invitation = async ({ ours: { id } }) => ({ id, body: { email: `${randomUUID()}@example.test` } });

// Somewhere new each time: staying where one is is no change.
const move = async ({ ours: { id } }) => ({ id, body: { city: `Oaxaca ${randomUUID()}` } });

const another = async ({ stack }) => {
  const id = randomUUID();
  await insert(stack, 'organizations', { id, name: 'Another', slug: `t-${id}` });
  return { id };
};

const one = { errorWhenUnknown: 'ORGANIZATION_NOT_FOUND', make: ours };
const inside = { ...one, permission: 'users:write', errorWhenInnerUnknown: 'USER_NOT_FOUND', make: member };

export default {
  'GET /api/organizations': { permission: 'organizations:read', rowsOfNewTenant: 1, make: ours },
  'POST /api/organizations': {
    permission: 'organizations:create', status: 201, make: async () => ({ body: { name: `Test ${randomUUID()}` } }),
  },
  'GET /api/organizations/{id}': { ...one, permission: 'organizations:read' },
  'PATCH /api/organizations/{id}': { ...one, permission: 'organizations:write', make: move },
  'DELETE /api/organizations/{id}': { ...one, permission: 'organizations:delete', status: 204, make: another },
  'GET /api/organizations/{id}/members': { ...one, permission: 'users:read' },
  'POST /api/organizations/{id}/members': { ...one, permission: 'users:write', status: 201, make: invitation },
  'PATCH /api/organizations/{id}/members/{inner_id}': { ...inside, body: { role: 'operator' } },
  'DELETE /api/organizations/{id}/members/{inner_id}': { ...inside, status: 204 },
  'GET /api/organizations/{id}/subscription': { ...one, permission: 'organizations:read' },
};
