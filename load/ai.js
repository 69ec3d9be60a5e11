// Programs that ask a model. Whoever answers takes its own time: the limit is on what is added to it.
//
//   MODEL     the model to ask, by default the one that the system chooses

import { Trend } from 'k6/metrics';
import { arriving, call, cancelLicenses, makeLicenses, oneOf } from './lib.js';

/** What the system itself adds to the time of an answer, in ms. */
const added = new Trend('ai_added', true);

const MODEL = __ENV.MODEL;

export const options = arriving({ share: 0.01, p95: 10_000, limits: { ai_added: ['p(95)<100'] } });

export async function setup() {
  return { licenses: await makeLicenses({ max_ai_requests_per_month: -1, max_concurrent_tasks: -1 }) };
}

/** @param {{ licenses: { id: string }[] }} data */
export default async function ai({ licenses }) {
  const { overhead_ms: ms } = await call('POST', '/api/ai/chat', {
    body: {
      license_id: oneOf(licenses).id, messages: [{ role: 'user', content: 'Name a river.' }], ...(MODEL && { model: MODEL }),
    },
    looks: { 'a model answered': (data) => data.message.role === 'assistant' && data.message.content.length > 0 },
  });
  added.add(ms);
}

/** @param {{ licenses: { id: string }[] }} data */
export async function teardown({ licenses }) {
  await cancelLicenses(licenses);
}
