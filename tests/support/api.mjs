// Calls of the API as its users make them. Every good answer is compared with the published OpenAPI
// document, so that no test has to remember to.

import assert from 'node:assert/strict';
import { record } from './examples.mjs';
import { conforms } from './openapi.mjs';

export { eventually } from './eventually.mjs';

/**
 * A function that calls the API of `stack` as one caller.
 *
 * `call('PATCH', '/api/licenses/{id}', { id, body: { notes: null } })` gives
 * `{ status, headers, text, body, data, counts }`. Whatever has no meaning of its own is a part of the path.
 *
 * @param {{url: string}} stack
 * @param {{token?: string, apiKey?: string}} credentials
 */
export function caller(stack, { token, apiKey } = {}) {
  return async function call(method, template, { query, body, text, headers, ...parts } = {}) {
    const path = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(parts[name]));
    const search = query ? `?${new URLSearchParams(query)}` : '';
    const response = await fetch(`${stack.url}${path}${search}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(apiKey && { 'x-api-key': apiKey }),
        ...((body !== undefined || text !== undefined) && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: text ?? (body === undefined ? undefined : JSON.stringify(body)),
    });
    const answer = await read(response);
    // Whoever refuses a body unread ends the connection: that is to be known before another call takes it.
    if (answer.status === 413) await new Promise((resolve) => { setTimeout(resolve, 100); });
    if (answer.status < 300 && method !== 'HEAD') conforms(method, template, answer);
    record(method, template, { body, answer });
    return answer;
  };
}

/** The answer of `fetch` with its body read. */
export async function read(response) {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  // What HEAD is answered with says what a body would be, and has none.
  const body = isJson && text ? JSON.parse(text) : undefined;
  const answer = { status: response.status, headers: response.headers, text, body, data: body?.data };
  return { ...answer, counts: counts(answer) };
}

/** Asserts an answer with this status and returns its data. */
export function good(answer, status = 200) {
  assert.equal(answer.status, status, answer.text);
  return answer.data;
}

/** Asserts an error in the envelope, and returns its details. */
export function refused(given, status, code) {
  const answer = own(given);
  assert.equal(answer.status, status, `expected ${status} ${code}: ${answer.status} ${answer.text}`);
  isErrorEnvelope(answer);
  assert.equal(answer.body.error.code, code);
  return answer.body.error.details;
}

/** Asserts 422 naming exactly these fields. */
export function refusedFields(answer, ...fields) {
  const details = refused(answer, 422, 'VALIDATION_FAILED');
  assert.deepEqual(Object.keys(details.fields).sort(), fields.sort());
  for (const problems of Object.values(details.fields)) assert.ok(problems.every((text) => text.length > 3));
}

/** An answer with the error of ours that is within one of OpenAI's shape, if it is. */
function own(answer) {
  const error = answer.body?.error?.celaest;
  return error ? { ...answer, body: { success: false, error } } : answer;
}

/** Asserts the shape that every error has. */
export function isErrorEnvelope(answer) {
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
  const { success, error, ...rest } = answer.body;
  assert.equal(success, false);
  assert.deepEqual(rest, {});
  const { code, message, request_id: requestId, details, ...more } = error;
  assert.deepEqual(more, {});
  assert.match(code, /^[A-Z][A-Z_]+$/);
  assert.ok(message.length > 5);
  assert.equal(requestId, answer.headers.get('x-request-id'));
  assert.ok(details === undefined || (typeof details === 'object' && details !== null));
}

/** The counts of statements and object calls in `Server-Timing`, or null where there are none. */
export function counts({ headers }) {
  const entries = [...(headers.get('server-timing') ?? '').matchAll(/(\w+);desc="?(\d+)"?/g)];
  return entries.length ? Object.fromEntries(entries.map(([, name, count]) => [name, Number(count)])) : null;
}

/** The text of an error without what differs in every request. */
export function withoutRequestId(answer) {
  return answer.text.replace(answer.headers.get('x-request-id'), '');
}
