// Sends thousands of damaged requests to a running worker and reports every answer that is not a
// proper refusal: a 5xx, an error without the envelope, a code that is not documented, or a pass for
// what can never be right. The same seed sends the same requests.
//
//   node scripts/fuzz.mjs --url http://127.0.0.1:8787 --token … [--requests 3000] [--seed 1]

import { readFileSync } from 'node:fs';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { createRandom, damageBody, damageHeaders, damageId, damageQuery } from './lib/damage.mjs';

const document = JSON.parse(readFileSync(new URL('../public/openapi.json', import.meta.url), 'utf8'));
const METHODS = ['get', 'post', 'patch', 'delete'];

const operations = Object.entries(document.paths).flatMap(([path, item]) => METHODS
  .filter((method) => item[method])
  .map((method) => ({ name: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path, ...item[method] })));

const codes = new Set(JSON.stringify(document.components.schemas).match(/"[A-Z][A-Z_]{4,}"/g).map((text) => JSON.parse(text)));

function resolve(schema) {
  const name = schema.$ref?.split('/').at(-1);
  return name ? resolve(document.components.schemas[name]) : schema;
}

/** A good value for a schema; `samples` has values for properties by their name. */
function example(random, schema, samples, name) {
  if (name in samples) return samples[name];
  const { anyOf, oneOf, enum: values, const: constant, type, ...rest } = resolve(schema);
  if (constant !== undefined) return constant;
  if (values) return random.pick(values.filter((value) => value !== null));
  if (anyOf ?? oneOf) {
    const choices = (anyOf ?? oneOf).filter((choice) => choice.type !== 'null');
    return example(random, random.pick(choices), samples, name);
  }
  switch ([type].flat().find((one) => one !== 'null')) {
    case 'object': {
      const required = new Set(rest.required);
      const chosen = Object.entries(rest.properties ?? {}).filter(([key]) => required.has(key) || random.chance(0.5));
      return Object.fromEntries(chosen.map(([key, inner]) => [key, example(random, inner, samples, key)]));
    }
    case 'array': return Array.from({ length: 1 + random.below(3) }, () => example(random, rest.items, samples));
    case 'integer': return Math.max(rest.minimum ?? 1, 1);
    case 'number': return 1.5;
    case 'boolean': return random.chance(0.5);
    case 'string': return 'text';
    default: return { any: ['thing', 1, null] };
  }
}

/** A good request of an operation as parts that can be damaged; a target may have a whole good body of its own. */
function goodRequest(random, operation, { samples, headers, target: { body: ownBody, query: ownQuery, ...own }, anyName }) {
  const body = operation.requestBody?.content['application/json'].schema;
  const parameters = (operation.parameters ?? []).map((parameter) => (parameter.$ref ? resolve(parameter) : parameter));
  const inQuery = parameters.filter((parameter) => parameter.in === 'query');
  const query = inQuery.filter((parameter) => parameter.required || random.chance(0.2))
    .map(({ name, schema }) => [name, String(example(random, schema, { ...samples, ...ownQuery }, name))]);
  const ids = Object.fromEntries(parameters.filter((parameter) => parameter.in === 'path')
    .map(({ name }) => [name, own[name] ?? samples[name] ?? 'x']));
  const makeBody = () => (ownBody && random.chance(0.5) ? structuredClone(ownBody) : example(random, body, { ...samples, ...own }));
  return {
    method: operation.method,
    path: operation.path,
    ids,
    isOpen: !operation.security?.length,
    leads: '302' in operation.responses,
    anyName: anyName.includes(operation.name),
    parameters: inQuery.map(({ name }) => name),
    query: query.map((pair) => pair.map(encodeURIComponent).join('=')),
    headers: [...headers.map((pair) => [...pair]), ...(body ? [['content-type', 'application/json']] : [])],
    body: body ? makeBody() : undefined,
  };
}

/** Damages one part of a request; says what it did and whether nothing but a refusal can be right. */
function damage(random, request) {
  const ways = [[damageHeaders, 1], [damageQuery, 3]];
  if (Object.keys(request.ids).length > 0) ways.push([damageId, 2]);
  if (request.body !== undefined) ways.push([damageBody, 8]);
  return random.weighted(ways)(random, request);
}

/** Sends a request as it is, past all the corrections of friendlier clients. */
function send(agent, base, request, id) {
  const path = request.path.replace(/\{(\w+)\}/g, (_, name) => request.ids[name]);
  const search = request.query.length ? `?${request.query.join('&')}` : '';
  const text = request.raw ?? (request.body === undefined ? undefined : JSON.stringify(request.body));
  const pairs = [['x-request-id', id], ...request.headers, ...(text === undefined ? [] : [['content-length', String(Buffer.byteLength(text))]])];
  return new Promise((settle, fail) => {
    const call = http.request({
      agent, host: base.hostname, port: base.port, method: request.method, path: path + search, headers: ['host', base.host, ...pairs.flat()],
      setHost: false,
    }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => settle({ status: response.statusCode, headers: response.headers, text: Buffer.concat(parts).toString() }));
      response.on('error', fail);
    });
    call.on('error', fail);
    call.end(text);
  });
}

/** Whether an answer took everything it was sent: a batch answers for each item. */
function tookAll({ text }) {
  try {
    const { data } = JSON.parse(text);
    return !(Array.isArray(data) && data.some((item) => item?.error));
  } catch {
    return true;
  }
}

/** What is wrong with an answer, or null. */
function problemOf(answer, { hopeless }, { method, leads }) {
  if (answer.status >= 500) return 'a 5xx';
  if (answer.status >= 300 && answer.status < 400) return leads ? null : 'a redirect';
  if (answer.status < 300) return hopeless && tookAll(answer) ? 'passed' : null;
  // The answer to HEAD has no body to look at.
  if (method === 'HEAD') return null;
  let error;
  try {
    ({ error } = JSON.parse(answer.text));
  } catch {
    return 'not JSON';
  }
  // Under /v1/ errors have OpenAI's shape, with ours beside it.
  error = error?.celaest ?? error;
  if (!codes.has(error?.code)) return 'an unknown code';
  if (error.request_id !== answer.headers['x-request-id']) return 'another request id';
  return null;
}

/**
 * Sends damaged requests.
 *
 * @param {object} options
 * @param {string} options.url
 * @param {(operation: string) => string[][]} options.headers those of a caller who may, for `METHOD /path`
 * @param {object} options.samples good values of fields by their name
 * @param {(operation: string) => object[]} [options.targets] things to aim at: values of the path, more samples, and
 *   maybe a `body` and a `query`; one of them for each request
 * @param {string[]} [options.except] operations to leave alone
 * @param {string[]} [options.anyName] operations for whose path no name is wrong
 * @param {boolean} [options.hopelessOnly] only what can never be right
 * @returns `{ sent, statuses, passed, refused, problems }`; `passed` and `refused` are request ids
 */
export async function fuzz({ url, headers, samples, targets = () => [{}], except = [], anyName = [], requests = 3000, seed = 1, concurrency = 16, hopelessOnly = false, onProgress }) {
  const random = createRandom(seed);
  const chosen = operations.filter(({ name }) => !except.includes(name));
  const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
  const base = new URL(url);
  const report = { sent: 0, statuses: {}, passed: [], refused: [], problems: [] };
  let number = 0;
  async function work() {
    while (number < requests) {
      number += 1;
      const id = `fuzz-${seed}-${number}`;
      let request;
      let done;
      do {
        const operation = random.pick(chosen);
        request = goodRequest(random, operation, {
          headers: headers(operation.name), samples, target: random.pick(targets(operation.name)), anyName,
        });
        done = damage(random, request);
      } while (hopelessOnly && !done.hopeless);
      const answer = await send(agent, base, request, id).catch((error) => ({ status: 0, headers: {}, text: error.message }));
      report.sent += 1;
      report.statuses[answer.status] = (report.statuses[answer.status] ?? 0) + 1;
      (answer.status < 300 ? report.passed : report.refused).push(answer.headers['x-request-id'] ?? id);
      const problem = answer.status === 0 ? 'no answer' : problemOf(answer, done, request);
      if (problem) {
        report.problems.push({
          problem, id, damage: done.what, request: `${request.method} ${request.path}`, ids: request.ids, query: request.query.join('&').slice(0, 200),
          body: String(request.raw ?? JSON.stringify(request.body)).slice(0, 300), answer: `${answer.status} ${answer.text.slice(0, 300)}`,
        });
      }
      if (report.sent % 500 === 0) onProgress?.(report);
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work));
  agent.destroy();
  return report;
}

/** The value of a command line option. */
function option(name, otherwise) {
  const index = process.argv.indexOf(`--${name}`);
  return index === -1 ? otherwise : process.argv[index + 1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const numbered = (prefix) => `${prefix}0000000-0000-4000-8000-000000000001`;
  const token = option('token');
  const report = await fuzz({
    url: option('url', 'http://127.0.0.1:8787'),
    headers: () => (token ? [['authorization', `Bearer ${token}`]] : []),
    requests: Number(option('requests', 3000)),
    seed: Number(option('seed', 1)),
    samples: {
      id: numbered(4), inner_id: numbered(4), plan_id: numbered(3), product_id: numbered(5), organization_id: numbered(1), owner_id: null,
      ip_address: '192.0.2.1', license_key: 'CELAEST-MKT-A8F9D2E1-0000', allowed_cidrs: ['192.0.2.0/24'],
      starts_at: '2031-01-01', expires_at: '2032-01-01', trial_ends_at: null,
    },
    onProgress: ({ sent, statuses }) => console.log(`${sent} sent ${JSON.stringify(statuses)}`),
  });
  console.log(`${report.sent} sent ${JSON.stringify(report.statuses)}, ${report.problems.length} problems`);
  for (const problem of report.problems.slice(0, 50)) console.log(JSON.stringify(problem));
  process.exitCode = report.problems.length ? 1 : 0;
}
