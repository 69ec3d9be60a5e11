// What an integrator writes with types made from the document: it has to compile, and to do what it says.

import createClient from 'openapi-fetch';
import type { components, paths } from './api.d.ts';

type Verdict = components['schemas']['Verdict'];
type ErrorCode = components['schemas']['ErrorCode'];

const { CELAEST_URL: baseUrl = '', CELAEST_TOKEN: token = '', CELAEST_PLAN: plan = '' } = process.env;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

/** The data of an answer, or an end to the program. */
function told<T>({ data, error }: { data?: { data: T }; error?: { error: { code: ErrorCode; message: string } } }): T {
  if (!data) throw new Error(`${error?.error.code}: ${error?.error.message}`);
  return data.data;
}

const license = told(await client.POST('/api/licenses', { body: { plan_id: plan, notes: 'generated' } }));
const verdict: Verdict = told(await client.POST('/api/licenses/validate', { body: { license_key: license.license_key } }));
const list = await client.GET('/api/licenses', { params: { query: { status: 'active', per_page: 100 } } });
const found = told(list).find(({ id }) => id === license.id);
const refusal = await client.GET('/api/licenses/{id}', { params: { path: { id: plan } } });

if (verdict.code !== 'VALID' || !verdict.license) throw new Error(verdict.reason ?? verdict.code);
const maxIps: unknown = verdict.license.limits.max_ips;
const code: ErrorCode | undefined = refusal.error?.error.code;
console.log(JSON.stringify({
  created: license.id, validated: verdict.license.id, plan: verdict.license.plan?.code, maxIps,
  listed: found?.license_key === license.license_key, total: list.data?.meta.total, code,
}));
