// The audit log.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

/** A row about something that somebody did. */
const row = async ({ stack, ours }, owner) => {
  const id = randomUUID();
  await insert(stack, 'audit_logs', {
    id, organization_id: ours.id, user_id: owner, action: 'read', event: 'test.noted', resource_type: 'test',
  });
  return { id };
};

const read = { permission: 'audit:read', make: row };

export default {
  // A new organization's only row: its administrator has signed in.
  'GET /api/audit-logs': { ...read, rowsOfNewTenant: 1 },
  'GET /api/audit-logs/search': { ...read, rowsOfNewTenant: 1 },
  'GET /api/audit-logs/export': { permission: 'audit:export', contentType: 'text/csv' },
  'GET /api/audit-logs/verify': { permission: 'audit:read' },
  'GET /api/audit-logs/{id}': read,
};
