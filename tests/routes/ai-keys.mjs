// The keys of AI providers, and the models that can be called with them.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

const key = async ({ stack, ours }) => {
  const id = randomUUID();
  await insert(stack, 'ai_api_pool', {
    id, organization_id: ours.id, provider: 'openai', key_name: `Walk ${id}`, key_value_encrypted: Buffer.alloc(1),
  });
  return { id };
};
const newKey = async () => ({ body: { provider: 'groq', key_name: `Walk ${randomUUID()}`, key_value: `gsk_${randomUUID()}` } });

const model = async ({ stack }) => {
  const id = randomUUID();
  await insert(stack, 'ai_models', { id, provider: 'local', model_id: `walk-${id}`, display_name: 'Walk' });
  return { id };
};
const newModel = async () => ({ body: { provider: 'local', model_id: `walk-${randomUUID()}`, display_name: 'Walk' } });

const reads = { permission: 'ai_keys:read', errorWhenUnknown: 'AI_KEY_NOT_FOUND', make: key };
const writes = { permission: 'ai_keys:write', errorWhenUnknown: 'AI_KEY_NOT_FOUND', make: key };
const changes = { permission: 'ai_models:write', errorWhenUnknown: 'MODEL_NOT_FOUND', make: model };

export default {
  'GET /api/ai/providers': { permission: 'ai:read', belongsToNoTenant: true },
  'GET /api/ai/models': { permission: 'ai:read', belongsToNoTenant: true },
  'POST /api/ai/models': { permission: 'ai_models:write', status: 201, make: newModel },
  'GET /api/ai/models/{id}': { permission: 'ai:read', belongsToNoTenant: true, errorWhenUnknown: 'MODEL_NOT_FOUND', make: model },
  'PATCH /api/ai/models/{id}': { ...changes, body: { display_name: 'Renamed' } },
  'DELETE /api/ai/models/{id}': { ...changes, status: 204 },
  'GET /api/ai/pool/stats': { permission: 'ai_keys:read', belongsToNoTenant: true },
  'GET /api/ai/pool/keys': { permission: 'ai_keys:read', rowsOfNewTenant: 0, make: key },
  'POST /api/ai/pool/keys': { permission: 'ai_keys:write', status: 201, make: newKey },
  'GET /api/ai/pool/keys/{id}': reads,
  'PATCH /api/ai/pool/keys/{id}': { ...writes, body: { notes: 'changed' } },
  'DELETE /api/ai/pool/keys/{id}': { ...writes, status: 204 },
  'POST /api/ai/pool/keys/{id}/test': { ...writes, body: {}, leavesNoAuditRow: true },
};
