// The published OpenAPI document and the comparison of real answers with it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** `public/openapi.json`, which is made from the router. */
export const document = JSON.parse(readFileSync(new URL('../../public/openapi.json', import.meta.url), 'utf8'));

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];

/** Every operation by `METHOD /path`. */
export const operations = new Map(
  Object.entries(document.paths).flatMap(([path, item]) => METHODS
    .filter((method) => item[method])
    .map((method) => [`${method.toUpperCase()} ${path}`, item[method]])),
);

// The document is no schema itself: its other keywords are not for the validator.
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
for (const size of ['int8', 'int16', 'uint', 'uint8', 'uint16', 'uint32', 'uint64']) {
  const unsigned = size.startsWith('u');
  ajv.addFormat(size, { type: 'number', validate: (n) => Number.isInteger(n) && (!unsigned || n >= 0) });
}
// An address of either version, of IPv6 the network that counts as one; and what is no URL: formats of ours,
// which are no promise to validators.
ajv.addFormat('ip', { type: 'string', validate: (text) => isIP(text.replace(/\/64$/, '')) > 0 });
// RFC 6531; the validator has none of its own.
ajv.addFormat('idn-email', /^[^\s@]+@[^\s@]+$/u);
ajv.addFormat('text', true);
ajv.addSchema(document, 'openapi');

const pointer = (...parts) => parts.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))
  .map(encodeURIComponent).join('/');

const names = new Map();

/** The path of the document that a path is: itself, or the one that has names where this has values. */
function templateOf(method, path) {
  if (operations.has(`${method} ${path}`)) return path;
  const key = `${method} ${path.split('?')[0]}`;
  if (!names.has(key)) {
    const fits = (name) => new RegExp(`^${name.replace(/\{\w+\}/g, '[^/]+')}$`).test(key);
    // Those without names first: /webhooks/events is no /webhooks/{id}.
    const found = [...operations.keys()].sort((one, other) => one.split('{').length - other.split('{').length).find(fits);
    names.set(key, found?.split(' ')[1]);
  }
  return names.get(key);
}

/** Asserts that an answer is what the document promises for its operation and status. */
export function conforms(method, given, answer) {
  const path = templateOf(method, given);
  const operation = operations.get(`${method} ${path}`);
  assert.ok(operation, `${method} ${given} is not in the document`);
  const promised = operation.responses[String(answer.status)];
  assert.ok(promised, `${method} ${path} does not promise ${answer.status}`);
  if (!promised.content) {
    assert.equal(answer.text, '', `${method} ${path} promises no body for ${answer.status}`);
    return;
  }
  const contentType = answer.headers.get('content-type');
  const isJson = contentType?.startsWith('application/json');
  const type = isJson ? 'application/json' : contentType;
  assert.ok(promised.content[type], `${method} ${path} does not promise ${type}`);
  const place = pointer('paths', path, method.toLowerCase(), 'responses', String(answer.status), 'content',
    type, 'schema');
  const validate = ajv.getSchema(`openapi#/${place}`);
  assert.ok(validate, `no schema at ${place}`);
  assert.ok(validate(isJson ? answer.body : answer.text), `${method} ${path} ${answer.status}: ${ajv.errorsText(validate.errors)}\n${answer.text}`);
}

/** Asserts that a JSON body is what the document promises for an operation and a status. */
export function isAsPromised(method, path, status, body) {
  const place = pointer('paths', path, method.toLowerCase(), 'responses', String(status), 'content', 'application/json', 'schema');
  const validate = ajv.getSchema(`openapi#/${place}`);
  assert.ok(validate(body), `${method} ${path}: ${ajv.errorsText(validate.errors)}`);
}

/** Asserts that what a receiver was sent is what the document promises for its event. */
export function isPromisedEvent(said) {
  const promised = document.webhooks[said.type];
  assert.ok(promised, `${said.type} is not in the document`);
  const validate = ajv.getSchema(`openapi${promised.post.requestBody.content['application/json'].schema.$ref}`);
  assert.ok(validate(said), `${said.type}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(said)}`);
}

/** Every `error.code` that the document knows. */
export function knownCodes() {
  const codes = new Set();
  const visit = (value) => {
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value.enum) && value.enum.includes('UNAUTHENTICATED')) value.enum.forEach((code) => codes.add(code));
    Object.values(value).forEach(visit);
  };
  visit(document);
  return codes;
}
