// AI calls. They are answered by the fake providers; what they leave is their record, which comes by a queue.

import { randomUUID } from 'node:crypto';
import { insert, insertLicense } from '../support/world.mjs';

/** A license that calls can use. */
const licensed = async ({ stack, ours }) => {
  const { id } = await insertLicense(stack, ours.id, { custom_limits: { max_ai_requests_per_month: -1, max_concurrent_tasks: -1 } });
  return id;
};

const asks = (body) => async (world) => ({ body: { ...body, license_id: await licensed(world) } });

/** With a prompt of the organization's own. */
const prompted = async (world) => {
  const slug = `walk-${randomUUID()}`;
  await insert(world.stack, 'prompts_master', {
    id: randomUUID(), organization_id: world.ours.id, slug, name: 'Walk', category: 'walk', system_prompt: 'You walk.',
  });
  return asks({ prompt_slug: slug, input_text: 'Where to?' })(world);
};

/** What speaks OpenAI's language names no license. */
const openAi = async (world) => {
  await licensed(world);
  return { body: { model: 'gpt-5.4-mini', messages: [{ role: 'user', content: 'Walk' }] } };
};

const uses = { permission: 'ai:use', leavesNoAuditRow: true };

export default {
  'POST /api/ai/chat': { ...uses, make: asks({ messages: [{ role: 'user', content: 'Walk' }], provider: 'openai' }) },
  'POST /api/ai/completions': { ...uses, make: asks({ prompt: 'Walk', provider: 'openai' }) },
  'POST /api/v1/ai/process': { ...uses, make: prompted },
  'POST /v1/chat/completions': { ...uses, make: openAi },
  'GET /v1/models': { ...uses, belongsToNoTenant: true },
  // A name that no column holds is not looked for: the code is another one.
  'GET /v1/models/{key}': { ...uses, belongsToNoTenant: true, anyNameIsFine: true, make: async () => ({ key: 'gpt-5.4-mini' }) },
};
