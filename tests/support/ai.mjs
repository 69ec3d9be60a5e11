// A worker whose AI providers are the fake ones, with models and a tenant of the test's own.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { startStack } from '../harness/client.mjs';
import { eventuallyHolds } from './eventually.mjs';
import { createOrganization, insert, insertLicense } from './world.mjs';

export { eventuallyHolds };

const CAN = { text_generation: true, streaming: true, json_mode: true, json_schema: true, function_calling: true, vision: true };

/**
 * A stack with the fake providers (`stack.ai`), whose catalogue has `models` alone: `[provider, name, columns]`, the
 * first the first by priority.
 */
export async function openMesh({ keys = { openai: ['key-openai-1'] }, models = [['openai', 'model-a'], ['openai', 'model-b']], ...wishes } = {}) {
  const stack = await startStack({ ...wishes, ai: { keys } });
  await stack.pg.query('UPDATE ai_models SET is_active = false, is_default = false');
  stack.models = {};
  for (const [place, [provider, name, columns]] of models.entries()) {
    stack.models[`${provider}/${name}`] = await addModel(stack, provider, name, { priority: 100 - place, ...columns });
  }
  return stack;
}

/** Stops it; whoever asked a provider in a way that it does not take is an error. */
export async function closeMesh(stack) {
  const { problems } = stack.ai;
  await stack.stop();
  await stack.ai.close();
  assert.deepEqual(problems, []);
}

/** Adds a model; returns its id. A dollar for a million tokens in, two for a million out, unless said. */
export async function addModel(stack, provider, name, columns = {}) {
  const row = {
    id: randomUUID(), provider, model_id: name, display_name: name, capabilities: CAN, context_window: 100_000,
    max_tokens_output: 8_000, cost_per_1k_input: '0.001', cost_per_1k_output: '0.002', ...columns,
  };
  // The sample data may have it.
  await stack.pg.query('DELETE FROM ai_models WHERE provider = $1 AND model_id = $2', [provider, name]);
  await insert(stack, 'ai_models', row);
  return row.id;
}

/** An organization with a license in force; `limits` are the license's own. */
export async function tenant(stack, { limits = {}, license = {}, roles = ['admin', 'developer', 'client', 'viewer'] } = {}) {
  const home = await createOrganization(stack, { roles });
  home.license = await insertLicense(stack, home.id, { custom_limits: { max_concurrent_tasks: -1, ...limits }, ...license });
  return home;
}

/** A message of a person. */
export const says = (text) => [{ role: 'user', content: text }];

/** The rows of `license_usage_log` and `processed_tasks` of a license's calls, by call. */
export async function recordsOf(stack, license) {
  const { rows } = await stack.pg.query(
    `SELECT u.call_id AS id, u.ai_requests_count::int AS counts, u.tokens_input::int, u.tokens_output::int,
       (u.calculated_cost * 1000000)::bigint::int AS cost_micro, u.user_id, u.api_key_id AS caller_key, u.period_start, u.period_end,
       t.id AS task, t.core_request_id, t.status::text, t.error_code, t.input_type, t.input_text, t.output_raw, t.output_json,
       t.model_id, t.api_key_id, (t.cost_usd * 1000000)::bigint::int AS task_cost_micro, t.metadata, t.retry_count,
       t.execution_time_ms, t.ai_time_ms, t.tokens_total, t.created_at, t.request_id
     FROM license_usage_log u LEFT JOIN processed_tasks t ON t.core_request_id = u.call_id
     WHERE u.license_id = $1 AND u.call_id IS NOT NULL ORDER BY u.created_at, u.call_id`, [license]);
  return rows;
}

/** The records of a license once there are `count`; a record too many fails, now or a moment later. */
export async function wholeRecords(stack, license, count, patience) {
  const read = async () => {
    const rows = await recordsOf(stack, license);
    if (rows.length !== count) throw new Error(`${rows.length} records instead of ${count}`);
    return rows;
  };
  await eventuallyHolds(read, patience);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  return read();
}

/** What a license has used, as its row says. */
export async function usedOf(stack, license) {
  const { rows } = await stack.pg.query(
    'SELECT ai_requests_used::int AS requests, (ai_cost_used * 1000000)::bigint::int AS cost_micro FROM licenses WHERE id = $1', [license]);
  return rows[0];
}

/** The events of a stream, as they came: `{ event, data, at }`; calls `seen` with each. */
export async function eventsOf(response, seen = () => {}) {
  const events = [];
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const lines = rest.slice(0, end).split('\n');
      rest = rest.slice(end + 2);
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field('data');
      const event = { event: field('event'), data: data === '[DONE]' ? data : JSON.parse(data), at: Date.now() };
      events.push(event);
      seen(event);
    }
  }
  return events;
}

/** A call whose answer comes piece by piece: the response. */
export function streams(stack, token, body, { path = '/api/ai/chat', headers, signal } = {}) {
  return fetch(`${stack.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ stream: true, ...body }),
    signal,
  });
}
