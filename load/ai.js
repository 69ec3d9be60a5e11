// Programs that ask a model: whoever answers takes its own time, so the limit is on what is added to it.
//
//   MODEL     the model to ask, by default the one that the system chooses

import { arriving, call, cancelLicenses, makeLicenses, oneOf } from './lib.js';

/** What the system itself may add to an answer, in ms. */
const MOST_ADDED = 250;

const MODEL = __ENV.MODEL;

export const options = arriving({ share: 0.01, p95: 5000 });

export async function setup() {
  return { licenses: await makeLicenses({ max_ai_requests_per_month: -1, max_concurrent_tasks: -1 }) };
}

/** @param {{ licenses: { id: string }[] }} data */
export default async function ai({ licenses }) {
  await call('POST', '/api/ai/chat', {
    body: {
      license_id: oneOf(licenses).id, messages: [{ role: 'user', content: 'Name a river.' }], ...(MODEL && { model: MODEL }),
    },
    looks: {
      'a model answered': (data) => data.message.role === 'assistant' && data.message.content.length > 0,
      'little was added to its time': (data) => data.overhead_ms < MOST_ADDED,
    },
  });
}

/** @param {{ licenses: { id: string }[] }} data */
export async function teardown({ licenses }) {
  await cancelLicenses(licenses);
}
