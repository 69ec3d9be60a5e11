// AI tasks and batches of them. What the walk hands in waits: its licenses' turns are held.

import { randomUUID } from 'node:crypto';
import { insert, insertLicense } from '../support/world.mjs';

/** A license that tasks can be handed in with. */
const licensed = async ({ stack, ours }) => {
  const license = await insertLicense(stack, ours.id, { custom_limits: { max_batch_size: 100 } });
  await insert(stack, 'ai_task_turns', { license_id: license.id, organization_id: ours.id, served_at: new Date(), held_until: new Date(Date.now() + 3_600_000) });
  return license.id;
};

/** A task of somebody that has ended; `fields` overrides columns. */
const task = (fields) => async (world, owner) => {
  const row = {
    id: randomUUID(), organization_id: world.ours.id, user_id: owner ?? world.ours.users.admin, license_id: await licensed(world),
    input_type: 'task', input_text: 'Walk', request: '{}', status: 'failed', error_code: 'TASK_EXPIRED', ...fields,
  };
  await insert(world.stack, 'processed_tasks', row);
  return { id: row.id };
};

/** A batch of somebody with one task that failed; or one that waits, for an hour. */
const batch = (status = 'failed') => async (world, owner) => {
  const id = randomUUID();
  const user = owner ?? world.ours.users.admin;
  const waits = status === 'processing';
  await insert(world.stack, 'task_batches', {
    id, organization_id: world.ours.id, user_id: user, status, total_tasks: 1, failed_tasks: waits ? 0 : 1,
  });
  const { id: inner } = await task(waits ? { batch_id: id, status: 'pending', error_code: null } : { batch_id: id })(world, owner);
  if (waits) {
    await world.stack.pg.query(
      `INSERT INTO ai_task_queue (task_id, task_created_at, organization_id, user_id, license_id, batch_id, call_id, due_at)
       SELECT id, created_at, organization_id, user_id, license_id, batch_id, uuid_generate_v4(), now() + interval '1 hour'
       FROM processed_tasks WHERE id = $1`, [inner]);
  }
  return { id };
};

const withLicense = (body) => async (world) => ({ body: { ...body, license_id: await licensed(world) } });

const one = { errorWhenUnknown: 'TASK_NOT_FOUND', make: task() };
const read = { ...one, permission: 'ai:read', clientSeesOwnOnly: true };
const oneBatch = { errorWhenUnknown: 'BATCH_NOT_FOUND', make: batch() };
const readBatch = { ...oneBatch, permission: 'ai:read', clientSeesOwnOnly: true };

export default {
  // Using is no administration: what is handed in is its own record.
  'POST /api/ai/tasks': {
    permission: 'ai:use', status: 202, body: { prompt: 'Walk' }, make: withLicense({ prompt: 'Walk' }), leavesNoAuditRow: true,
  },
  'GET /api/ai/tasks': { permission: 'ai:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: task() },
  'GET /api/ai/tasks/{id}': read,
  'GET /api/ai/tasks/{id}/result': read,
  'DELETE /api/ai/tasks/{id}': { ...one, permission: 'ai:use', status: 204, make: task({ status: 'pending' }) },
  'POST /api/ai/tasks/{id}/retry': { ...one, permission: 'ai:use', status: 202, body: {} },
  'POST /api/ai/batches': {
    permission: 'ai:use', status: 202, body: { items: [{ prompt: 'Walk' }] }, make: withLicense({ items: [{ prompt: 'Walk' }] }),
  },
  'GET /api/ai/batches': { permission: 'ai:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: batch() },
  'GET /api/ai/batches/{id}': readBatch,
  'GET /api/ai/batches/{id}/tasks': { ...oneBatch, permission: 'ai:read' },
  'GET /api/ai/batches/{id}/results': { ...oneBatch, permission: 'ai:read', contentType: 'application/x-ndjson' },
  'DELETE /api/ai/batches/{id}': { ...oneBatch, permission: 'ai:use', status: 204, make: batch('processing') },
  'POST /api/ai/batches/{id}/retry': { ...oneBatch, permission: 'ai:use', status: 202, body: {} },
};
