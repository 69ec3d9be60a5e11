// What the scenarios share: where the worker is, who calls, what is looked at, and how load comes and goes.
//
//   BASE_URL  the worker, http://127.0.0.1:8787 by default
//   TOKEN     an access token of an administrator, as `npm start` prints it, or an API key (celk_…)
//   RATE      requests a second at the top, 5000 by default (the target is 10000)
//   DURATION  how long they last there, 1m by default
//   THINGS    how many licenses, products … the set-up makes, 100 by default

import { check } from 'k6';
import http from 'k6/http';

export const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8787';
export const THINGS = Number(__ENV.THINGS || 100);

const RATE = Number(__ENV.RATE || 5000);
const DURATION = __ENV.DURATION || '1m';

/**
 * Options of a scenario: requests arrive at a rate, whether earlier ones were answered or not, as they do from
 * programs all over the world. `share` is its part of the rate, `p95` the limit of its slowest twentieth in ms,
 * `limits` are those of measures of its own.
 *
 * @param {{ share?: number, p95?: number, limits?: Record<string, string[]> }} [wishes]
 * @returns {import('k6/options').Options}
 */
export function arriving({ share = 1, p95 = 100, limits = {} } = {}) {
  const target = Math.max(1, Math.round(RATE * share));
  return {
    scenarios: {
      arriving: {
        executor: 'ramping-arrival-rate',
        startRate: Math.max(1, Math.round(target / 10)),
        timeUnit: '1s',
        preAllocatedVUs: Math.min(target, 500),
        maxVUs: Math.min(target * 2, 2000),
        stages: [{ target, duration: '30s' }, { target, duration: DURATION }, { target: 0, duration: '10s' }],
      },
    },
    thresholds: { http_req_duration: [`p(95)<${p95}`], http_req_failed: ['rate<0.001'], checks: ['rate>0.999'], ...limits },
    setupTimeout: '5m',
    teardownTimeout: '5m',
  };
}

/** @returns {Record<string, string>} */
function headers() {
  /** @type {Record<string, string>} */
  const sent = { 'content-type': 'application/json' };
  const token = __ENV.TOKEN;
  if (token?.startsWith('celk_')) sent['x-api-key'] = token;
  else if (token) sent.authorization = `Bearer ${token}`;
  return sent;
}

/**
 * Calls the worker and looks at the answer: the status, that it is the envelope, and what `looks` asks of its data.
 *
 * @param {'GET' | 'POST' | 'PATCH' | 'DELETE'} method
 * @param {string} path
 * @param {{ body?: object, status?: number, name?: string, looks?: Record<string, (data: any, response: any) => boolean> }} [wishes]
 *   `name` is what the path is called in the report, where it has an id in it
 * @returns {Promise<any>} the data
 */
export async function call(method, path, { body, status = 200, name = path, looks = {} } = {}) {
  const response = await http.asyncRequest(method, BASE_URL + path, body ? JSON.stringify(body) : null, {
    headers: headers(), tags: { name: `${method} ${name}` },
  });
  /** @type {any} */
  const answer = response.body ? JSON.parse(String(response.body)) : {};
  /** @type {Record<string, () => boolean>} */
  const sets = { [`${method} ${name} answers ${status}`]: () => response.status === status };
  for (const [what, look] of Object.entries(looks)) sets[what] = () => Boolean(answer.success && look(answer.data, response));
  check(response, sets);
  return answer.data;
}

/**
 * Makes as many things as the set-up should.
 *
 * @template T
 * @param {(index: number) => Promise<T>} make
 * @returns {Promise<T[]>}
 */
export async function several(make) {
  const made = [];
  for (let index = 0; index < THINGS; index += 1) made.push(await make(index));
  return made;
}

/**
 * One of a list, in turn for each iteration.
 *
 * @template T
 * @param {T[]} list
 */
export const oneOf = (list) => list[Math.floor(Math.random() * list.length)];

/** The largest plan there is. @returns {Promise<string>} its id */
export async function largestPlan() {
  const plans = await call('GET', '/api/plans?per_page=100');
  return plans.at(-1).id;
}

/**
 * Licenses of the largest plan there is, for any number of addresses.
 *
 * @param {Record<string, number>} [limits] more of their own limits
 * @returns {Promise<{ id: string, license_key: string }[]>}
 */
export async function makeLicenses(limits = {}) {
  const plan = await largestPlan();
  return several(() => call('POST', '/api/licenses', { body: { plan_id: plan, custom_limits: { max_ips: -1, ...limits } }, status: 201 }));
}

/** @param {{ id: string }[]} licenses */
export async function cancelLicenses(licenses) {
  for (const { id } of licenses) await call('DELETE', `/api/licenses/${id}`, { status: 204, name: '/api/licenses/{id}' });
}
