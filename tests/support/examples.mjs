// True answers as the examples of the document: `npm run openapi -- --examples` records them while the
// routes are walked.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { operations } from './openapi.mjs';

/** What nobody should find in a document, by the name of its field, and what stands for it. */
const SECRETS = {
  secret: 'whsec_…', client_secret: '…', key: 'cel_…', access_token: 'eyJ…', refresh_token: '…', token: '…', public_key: '…',
};

/** The most characters of one example, and of a text in it. */
const MOST = 6000;
const MOST_WORDS = 200;

/** A value without secrets and without what only repeats. */
function shown(value, name) {
  if (typeof value === 'string') {
    if (name in SECRETS && value.length > 20) return SECRETS[name];
    // Links and ids are whole, or they are none; what a link is signed with is nobody else's.
    if (!/\s/.test(value)) return value.replace(/([?&]token=)[^&]+/, '$1signed');
    return value.length > MOST_WORDS ? `${value.slice(0, MOST_WORDS)}…` : value;
  }
  if (Array.isArray(value)) return value.slice(0, typeof value[0] === 'object' ? 1 : 3).map((one) => shown(one, name));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner, key)]));
}

/** Keeps the first good call of an operation, when examples are being recorded. */
export function record(method, template, { body, answer }) {
  const folder = process.env.CELAEST_EXAMPLES;
  if (!folder || answer.status >= 300 || !answer.body) return;
  const name = operations.get(`${method} ${template}`)?.operationId;
  if (!name) return;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.json`);
  const isList = Array.isArray(answer.data);
  // A list that has something in it says more than one that has nothing.
  if (existsSync(file) && !(isList && answer.data.length && !existsSync(`${file}.full`))) return;
  const example = JSON.stringify({ ...(body !== undefined && { request: shown(body) }), status: answer.status, response: shown(answer.body) }, null, 2);
  if (example.length > MOST) return;
  writeFileSync(file, example);
  if (isList && answer.data.length) writeFileSync(`${file}.full`, '');
}
