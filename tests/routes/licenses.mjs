// Licenses and their validation.

import { randomUUID } from 'node:crypto';
import { PLANS, insert, insertLicense } from '../support/world.mjs';

/** A license of somebody; `fields` overrides columns, `more` adds what is inside it. */
const license = (fields, more) => async ({ stack, ours }, owner) => {
  const made = await insertLicense(stack, ours.id, { owner_id: owner, ...fields });
  return { id: made.id, ...await more?.(stack, made) };
};

const withAddress = license({}, (stack, made) => insert(stack, 'license_ip_bindings', {
  license_id: made.id, organization_id: made.organization_id, ip_address: '192.0.2.2',
}));

const withCollision = license({}, async (stack, made) => {
  const id = randomUUID();
  await insert(stack, 'license_collisions', {
    id, license_id: made.id, organization_id: made.organization_id, ip_address_a: '192.0.2.3', ip_address_b: '192.0.2.4',
  });
  return { inner_id: id };
});

const one = { errorWhenUnknown: 'LICENSE_NOT_FOUND', make: license() };
const read = { ...one, permission: 'licenses:read', clientSeesOwnOnly: true };

export default {
  'POST /api/licenses/validate': { open: true, body: { license_key: 'CELAEST-GEN-00000000-0000' } },
  'POST /api/licenses/batch-validate': { open: true, body: { items: [{ license_key: 'x' }] } },

  'GET /api/licenses': { permission: 'licenses:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: license() },
  'POST /api/licenses': { permission: 'licenses:write', status: 201, body: { plan_id: PLANS.free } },
  'GET /api/licenses/{id}': read,
  'PATCH /api/licenses/{id}': { ...one, permission: 'licenses:write', body: { notes: 'changed' } },
  'DELETE /api/licenses/{id}': { ...one, permission: 'licenses:delete', status: 204 },
  'POST /api/licenses/{id}/bind-ip': {
    ...one, permission: 'licenses:write', status: 201, body: { ip_address: '192.0.2.1' },
  },
  'DELETE /api/licenses/{id}/unbind-ip': {
    ...one, permission: 'licenses:write', status: 204, query: { ip_address: '192.0.2.2' }, make: withAddress,
  },
  'GET /api/licenses/{id}/ips': read,
  'GET /api/licenses/{id}/collisions': read,
  'POST /api/licenses/{id}/collisions/{inner_id}/resolve': {
    ...one, permission: 'licenses:write', body: {}, make: withCollision,
  },
  'GET /api/licenses/{id}/validations': read,
  'POST /api/licenses/{id}/renew': { ...one, permission: 'licenses:write', body: { months: 1 } },
  'POST /api/licenses/{id}/revoke': { ...one, permission: 'licenses:revoke', body: {} },
  'POST /api/licenses/{id}/reactivate': {
    ...one, permission: 'licenses:revoke', body: {}, make: license({ status: 'suspended' }),
  },
  'GET /api/licenses/{id}/usage': read,
};
