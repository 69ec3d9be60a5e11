// Outgoing webhooks.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

const URL = 'https://hooks.example.com/walk';

/** A webhook of somebody; `fields` overrides columns, `more` adds what is inside it. */
const webhook = (fields, more) => async ({ stack, ours }, owner) => {
  const row = {
    id: randomUUID(), organization_id: ours.id, user_id: owner ?? ours.users.admin, name: 'Walk', url: URL,
    events: ['user.*'], carries: ['users:read', 'organizations:read'], secret_hash: 'hash', secret_encrypted: Buffer.alloc(0), ...fields,
  };
  await insert(stack, 'webhooks', row);
  return { id: row.id, ...await more?.(stack, row) };
};

const withDelivery = webhook({}, async (stack, row) => {
  const id = randomUUID();
  await insert(stack, 'webhook_deliveries', {
    id, webhook_id: row.id, organization_id: row.organization_id, event_id: randomUUID(), event_type: 'organization.updated',
    payload: { type: 'organization.updated', timestamp: '2026-01-01T00:00:00.000Z', data: {} },
  });
  return { inner_id: id };
});

const one = { errorWhenUnknown: 'WEBHOOK_NOT_FOUND', make: webhook() };
const read = { ...one, permission: 'webhooks:read' };
const write = { ...one, permission: 'webhooks:write' };

export default {
  'GET /api/webhooks': { permission: 'webhooks:read', rowsOfNewTenant: 0, make: webhook() },
  'POST /api/webhooks': { permission: 'webhooks:write', status: 201, body: { name: 'Walk', url: URL, events: ['user.*'] } },
  'GET /api/webhooks/events': { permission: 'webhooks:read' },
  'GET /api/webhooks/{id}': read,
  'PATCH /api/webhooks/{id}': { ...write, body: { name: 'changed' } },
  'DELETE /api/webhooks/{id}': { ...write, status: 204 },
  'GET /api/webhooks/{id}/deliveries': read,
  'POST /api/webhooks/{id}/deliveries/{inner_id}/replay': { ...write, status: 202, body: {}, make: withDelivery },
  'POST /api/webhooks/{id}/replay': { ...write, status: 202, body: { since: new Date().toISOString() } },
  'POST /api/webhooks/{id}/test': { ...write, status: 202, body: {} },
  'POST /api/webhooks/{id}/rotate-secret': { ...write, body: {} },
};
