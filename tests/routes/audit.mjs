// The audit log.

import { randomUUID } from 'node:crypto';
import { eventually } from '../support/api.mjs';
import { insert } from '../support/world.mjs';

/** A row about something that somebody did. */
const row = async ({ stack, ours }, owner) => {
  const id = randomUUID();
  await insert(stack, 'audit_logs', {
    id, organization_id: ours.id, user_id: owner, action: 'read', event: 'test.noted', resource_type: 'test',
  });
  return { id };
};

/** A log whose only seal is gone. */
const cutOff = async ({ stack }) => {
  const id = randomUUID();
  await insert(stack, 'organizations', { id, name: id, slug: id });
  await insert(stack, 'audit_logs', { organization_id: id, action: 'read', event: 'test.noted', resource_type: 'test' });
  await stack.triggerCron('2-57/5 * * * *');
  const seals = () => stack.pg.query('DELETE FROM audit_seals WHERE organization_id = $1 RETURNING last_sequence', [id]);
  const { rows: [seal] } = await eventually(async () => {
    const gone = await seals();
    return gone.rowCount > 0 && gone;
  });
  return { body: { organization_id: id, sequence: Number(seal.last_sequence), reason: 'Restored from a backup' } };
};

const read = { permission: 'audit:read', make: row };

export default {
  // A new organization's only row: its administrator has signed in.
  'GET /api/audit-logs': { ...read, rowsOfNewTenant: 1 },
  'GET /api/audit-logs/search': { ...read, rowsOfNewTenant: 1 },
  'GET /api/audit-logs/export': { permission: 'audit:export', contentType: 'text/csv' },
  'GET /api/audit-logs/verify': { permission: 'audit:read' },
  'POST /api/audit-logs/acknowledge': { permission: 'system:write', make: cutOff, belongsToNoTenant: true },
  'GET /api/audit-logs/{id}': read,
};
