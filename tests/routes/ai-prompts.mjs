// Prompts and their versions.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';

const slug = () => `walk-${randomUUID()}`;

/** A version of a prompt; `fields` overrides columns. */
const prompt = (fields) => async ({ stack, ours }) => {
  const row = {
    id: randomUUID(), organization_id: ours.id, slug: slug(), name: 'Walk', category: 'walk',
    system_prompt: 'You walk.', user_prompt_template: 'Go {{where}}', variables: '["where"]', ...fields,
  };
  await insert(stack, 'prompts_master', row);
  return { id: row.id };
};

/** A version that was made from another one. */
const withParent = async (world) => {
  const parent = await prompt()(world);
  const { rows } = await world.stack.pg.query('SELECT slug FROM prompts_master WHERE id = $1', [parent.id]);
  return prompt({ slug: rows[0].slug, version: 2, parent_id: parent.id, system_prompt: 'You run.' })(world);
};

const NEW = { name: 'Walk', category: 'walk', system_prompt: 'You walk.' };
const one = { errorWhenUnknown: 'PROMPT_NOT_FOUND', make: prompt() };
const read = { ...one, permission: 'ai_prompts:read' };
const write = { ...one, permission: 'ai_prompts:write' };

export default {
  'POST /api/ai/prompts': {
    permission: 'ai_prompts:write', status: 201, body: NEW, make: async () => ({ body: { ...NEW, slug: slug() } }),
  },
  'GET /api/ai/prompts': {
    permission: 'ai_prompts:read', rowsOfNewTenant: 0, query: { owner: 'organization', category: 'walk' }, make: prompt(),
  },
  'GET /api/ai/prompts/{id}': read,
  'PATCH /api/ai/prompts/{id}': { ...write, body: { name: 'Changed' } },
  'DELETE /api/ai/prompts/{id}': { ...write, status: 204 },
  'GET /api/ai/prompts/{id}/versions': read,
  'POST /api/ai/prompts/{id}/versions': { ...write, status: 201, body: { notes: 'New' } },
  'POST /api/ai/prompts/{id}/activate': { ...write, body: { beside: true }, make: prompt({ is_active: false }) },
  'POST /api/ai/prompts/{id}/render': { ...read, body: { variables: { where: 'home' } }, leavesNoAuditRow: true },
  'GET /api/ai/prompts/{id}/diff': { ...read, make: withParent },
};
