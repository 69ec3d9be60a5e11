// What every answer has in common: envelope, headers, languages, pages, idempotency.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { caller, counts, good, read, refused, refusedFields } from './support/api.mjs';
import { document } from './support/openapi.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, auditOf, createOrganization, insertLicense, signedIn, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
let home;
let call;
let nobody;

before(async () => {
  home = await createOrganization(stack);
  call = home.as.developer;
  nobody = caller(stack);
});

/**
 * Sends pieces of a body, `count` of them unless it is answered before. A connection that is closed while
 * something is still being written can take the answer with it: then all of it is sent again.
 */
async function sent(path, headers, text, count, attempts = 10) {
  const request = http.request(stack.url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers } });
  const answered = once(request, 'response').catch((error) => error);
  for (let piece = 0; piece < count && !request.res && !request.destroyed; piece += 1) {
    request.write(text);
    await pause(5);
  }
  if (!request.res) request.end();
  const outcome = await answered;
  if (outcome instanceof Error) {
    if (attempts > 1 && ['EPIPE', 'ECONNRESET'].includes(outcome.code)) return sent(path, headers, text, count, attempts - 1);
    throw outcome;
  }
  const [incoming] = outcome;
  // What is still on its way up fails when the other side has closed.
  request.on('error', () => {});
  const answer = await read(new Response(Readable.toWeb(incoming), { status: incoming.statusCode, headers: incoming.headers }));
  request.destroy();
  return answer;
}

const get = async (path, init) => read(await fetch(stack.url + path, { redirect: 'manual', ...init }));

describe('request ids', () => {
  test('a harmless one is echoed, in errors too', async () => {
    for (const id of ['abc', 'A-b_c.9', randomUUID(), 'x'.repeat(64)]) {
      const fine = await nobody('GET', '/health', { headers: { 'x-request-id': id } });
      assert.equal(fine.headers.get('x-request-id'), id);
      const error = await nobody('GET', '/api/licenses', { headers: { 'x-request-id': id } });
      refused(error, 401, 'UNAUTHENTICATED');
      assert.equal(error.body.error.request_id, id);
    }
  });

  test('anything else is replaced', async () => {
    for (const id of ['', 'x'.repeat(65), 'a b', 'a"b', '<script>', 'a;b', 'é']) {
      const answer = await nobody('GET', '/health', { headers: { 'x-request-id': id } });
      assert.match(answer.headers.get('x-request-id'), /^[0-9a-f-]{36}$/);
    }
  });

  test('ours are all different', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await nobody('GET', '/health')).headers.get('x-request-id')));
    assert.equal(new Set(ids).size, 20);
  });

  test('the audit row carries it', async () => {
    const id = `audit-${randomUUID()}`;
    const body = { plan_id: PLANS.free };
    const license = good(await call('POST', '/api/licenses', { body, headers: { 'x-request-id': id } }), 201);
    assert.equal((await auditOf(stack, license.id))[0].request_id, id);
  });
});

describe('headers', () => {
  test('Server-Timing counts statements and object calls', async () => {
    assert.deepEqual(counts(await nobody('GET', '/health/live')), { db: 0, do: 0 });
    assert.deepEqual(counts(await nobody('GET', '/health/ready')), { db: 1, do: 1 });
    assert.deepEqual(counts(await nobody('GET', '/api/licenses')), { db: 0, do: 1 });
    const list = counts(await call('GET', '/api/licenses'));
    assert.equal(list.do, 1);
    assert.ok(list.db >= 1 && list.db <= 2, `${list.db} statements`);
  });

  test('browsers are kept from doing harm, whatever the answer', async () => {
    const answers = [
      await nobody('GET', '/health'), await nobody('GET', '/api/licenses'), await call('GET', '/api/licenses'),
      await get('/nowhere'), await get('/health', { method: 'DELETE' }),
      await nobody('POST', '/api/licenses/validate', { body: { license_key: 'x' } }),
    ];
    for (const { headers } of answers) {
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('x-frame-options'), 'DENY');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
      assert.match(headers.get('content-security-policy'), /default-src 'none'/);
      assert.match(headers.get('strict-transport-security'), /max-age=\d{7,}/);
      assert.equal(headers.get('cache-control'), 'no-store');
      assert.match(headers.get('content-type'), /^application\/json/);
      assert.ok(headers.get('x-request-id'));
      assert.ok(headers.get('server-timing'));
    }
  });
});

describe('CORS', () => {
  const allowed = () => stack.vars.CORS_ORIGINS.split(',')[0].trim();
  const preflight = (origin) => get('/api/licenses', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
  });

  test('a configured origin may read answers, errors too', async () => {
    for (const answer of [await nobody('GET', '/health', { headers: { origin: allowed() } }),
      await nobody('GET', '/api/licenses', { headers: { origin: allowed() } }),
      await nobody('POST', '/api/licenses/validate', { body: { license_key: 'x' }, headers: { origin: allowed() } })]) {
      assert.equal(answer.headers.get('access-control-allow-origin'), allowed());
      for (const name of ['X-Request-Id', 'Content-Disposition', 'RateLimit-Remaining', 'Retry-After']) {
        assert.ok(answer.headers.get('access-control-expose-headers').includes(name), name);
      }
      assert.match(answer.headers.get('vary'), /Origin/);
    }
  });

  test('an unknown one may not', async () => {
    for (const origin of ['https://evil.example', 'null', `${allowed()}.evil.example`, `${allowed()}/`, allowed().toUpperCase(),
      allowed().replace('http:', 'https:')]) {
      for (const answer of [await nobody('GET', '/health', { headers: { origin } }), await preflight(origin)]) {
        assert.equal(answer.headers.get('access-control-allow-origin'), null, origin);
        assert.match(answer.headers.get('vary'), /Origin/);
      }
    }
  });

  test('preflight', async () => {
    const { status, headers, text } = await preflight(allowed());
    assert.equal(status, 204);
    assert.equal(text, '');
    assert.equal(headers.get('access-control-allow-origin'), allowed());
    for (const method of ['GET', 'POST', 'PATCH', 'DELETE']) {
      assert.match(headers.get('access-control-allow-methods'), new RegExp(`\\b${method}\\b`));
    }
    for (const name of ['authorization', 'x-api-key', 'content-type', 'idempotency-key', 'accept-language', 'x-request-id']) {
      assert.match(headers.get('access-control-allow-headers').toLowerCase(), new RegExp(`\\b${name}\\b`));
    }
    assert.ok(Number(headers.get('access-control-max-age')) > 0);
  });
});

describe('languages', () => {
  const message = async (language) => {
    const answer = await nobody('GET', '/api/licenses', { headers: language ? { 'accept-language': language } : {} });
    refused(answer, 401, 'UNAUTHENTICATED');
    return [answer.headers.get('content-language'), answer.body.error.message];
  };

  test('Spanish unless English is preferred', async () => {
    const [, spanish] = await message('es');
    const [, english] = await message('en');
    assert.notEqual(spanish, english);
    for (const [language, tag] of [[undefined, 'es'], ['*', 'es'], ['fr', 'es'], ['es-MX', 'es'], ['en', 'en'], ['en-GB,en;q=0.9', 'en'],
      ['fr, es;q=0.3, en;q=0.4', 'en'], ['en;Q=0.1,es;q=0.9', 'es'], ['*;q=0.5,en;q=0.1', 'es'], ['en;q=0, es', 'es'], ['EN', 'en'], [';;q=,', 'es'], ['x'.repeat(2000), 'es']]) {
      assert.deepEqual(await message(language), [tag, tag === 'en' ? english : spanish], String(language));
    }
  });

  test('verdicts too', async () => {
    const reason = async (language) => good(await nobody('POST', '/api/licenses/validate', {
      body: { license_key: 'x' }, headers: { 'accept-language': language },
    })).reason;
    assert.notEqual(await reason('es'), await reason('en'));
  });
});

describe('routes that are not there', () => {
  test('404 and 405 in the envelope', async () => {
    for (const path of ['/nowhere', '/api', '/api/license', '/api/licenses/', `/api/licenses/${randomUUID()}/nothing`, '/api//licenses', '/API/licenses']) {
      refused(await get(path), 404, 'ROUTE_NOT_FOUND');
      refused(await get(path, { method: 'POST', body: '{' }), 404, 'ROUTE_NOT_FOUND');
    }
    for (const [method, path] of [['PUT', '/api/licenses'], ['DELETE', '/api/licenses'], ['POST', '/health'], ['PATCH', '/api/licenses'],
      ['GET', '/api/licenses/batch-validate'], ['POST', `/api/licenses/${randomUUID()}`], ['OPTIONS', '/api/licenses']]) {
      const answer = await get(path, { method });
      refused(answer, 405, 'METHOD_NOT_ALLOWED');
      assert.match(answer.headers.get('allow'), /^[A-Z]+(, [A-Z]+)*$/);
    }
    assert.equal((await get('/api/licenses', { method: 'PUT' })).headers.get('allow'), 'GET, POST, HEAD');
  });

  test('401 says how to sign in', async () => {
    assert.equal((await nobody('GET', '/api/licenses')).headers.get('www-authenticate'), 'Bearer realm="celaest"');
  });

  test('validate has one method', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      assert.equal((await get('/api/licenses/validate', { method })).status, 405);
    }
  });
});

describe('health and documentation', () => {
  test('/health', async () => {
    const health = good(await nobody('GET', '/health'));
    assert.equal(health.status, 'ok');
    assert.match(health.version, /^\d+\.\d+\.\d+/);
    assert.deepEqual(good(await nobody('GET', '/health/live')), { status: 'ok' });
    assert.deepEqual(good(await nobody('GET', '/health/ready')), { status: 'ok', postgres: 'ok', objects: 'ok', dead_letters: 0 });
  });

  test('/openapi.json is the published document', async () => {
    const answer = await get('/openapi.json');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, document);
    assert.match(document.openapi, /^3\.1/);
  });

  test('/docs is a page that loads nothing from elsewhere', async () => {
    const page = await get('/docs');
    assert.equal(page.status, 200);
    assert.match(page.headers.get('content-type'), /^text\/html/);
    const sources = [...page.text.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, source]) => source);
    assert.ok(sources.length > 0);
    for (const source of sources.filter((text) => !text.startsWith('data:'))) {
      assert.doesNotMatch(source, /^(https?:)?\/\//, source);
      assert.equal((await get(new URL(source, `${stack.url}/docs`).pathname)).status, 200, source);
    }
  });
});

describe('pages and sorting', () => {
  const list = (query) => call('GET', '/api/licenses', { query });

  test('limits of the page', async () => {
    for (const [name, values] of Object.entries({ per_page: ['0', '-1', '101', '4294967295', '99999999999'], page: ['0', '-1', '1000001', '4294967295'] })) {
      for (const value of values) refusedFields(await list({ [name]: value }), name);
    }
    for (const name of ['page', 'per_page']) {
      for (const value of ['', 'x', '1.5', '1e1', '99999999999999999999', '0x1', ' 1', '١']) refused(await list({ [name]: value }), 400, 'INVALID_QUERY');
    }
  });

  test('a page far behind the end is empty and still counts', async () => {
    const license = await insertLicense(stack, home.id);
    const answer = await list({ page: '1000000', per_page: '100' });
    assert.deepEqual(good(answer), []);
    const { rows } = await stack.pg.query('SELECT count(*)::int AS count FROM licenses WHERE organization_id = $1', [home.id]);
    assert.deepEqual(answer.body.meta, {
      page: 1_000_000, per_page: 100, total: rows[0].count, total_pages: Math.ceil(rows[0].count / 100),
    });
    assert.ok(license);
  });

  test('what cannot be sorted or filtered by', async () => {
    for (const query of [{ sort: 'license_key' }, { sort: 'created_at;DROP TABLE licenses' }, { sort: '' }, { order: 'up' }, { order: 'ASC' },
      { status: 'gone' }, { status: '' }, { product_id: 'x' }, { plan_id: '' }, { created_after: 'yesterday' }, { expires_before: '300000-01-01' },
      { created_after: '2026-02-30' }, { search: 'a\u0000b' }]) {
      refused(await list(query), 400, 'INVALID_QUERY');
    }
    refusedFields(await list({ search: 'x'.repeat(101) }), 'search');
  });

  test('a parameter given twice', async () => {
    const twice = new URLSearchParams([['page', '1'], ['page', '2']]);
    refused(await list(twice), 400, 'INVALID_QUERY');
  });
});

describe('bodies', () => {
  const create = (text, headers) => call('POST', '/api/licenses', { text, headers });

  test('what is not JSON', async () => {
    for (const text of ['{', 'x', '', ' ', '[]', '"x"', '1', 'null', '{} {}', '{"plan_id":}', "{'plan_id':1}", '{"a":1,}', '\ufeff{}',
      `{"plan_id":"${PLANS.free}","plan_id":"${PLANS.free}"}`, `{"plan_id":"${PLANS.free}","notes":"\\ud800"}`,
      `{"plan_id":"${PLANS.free}","notes":"a\\u0000b"}`, `{"plan_id":"${PLANS.free}","notes":"a\u0000b"}`,
      `{"plan_id":"${PLANS.free}","metadata":${'{"a":'.repeat(500)}1${'}'.repeat(500)}}`,
      `{"plan_id":"${PLANS.free}","metadata":{"a":1e999}}`]) {
      refused(await create(text), 400, 'INVALID_BODY');
    }
  });

  test('what is not JSON by its headers: 415, naming the header', async () => {
    const text = JSON.stringify({ plan_id: PLANS.free });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'multipart/form-data; boundary=x', 'json']) {
      const details = refused(await create(text, { 'content-type': type }), 415, 'UNSUPPORTED_MEDIA_TYPE');
      assert.deepEqual(details, { header: 'Content-Type' });
      assert.equal((await create(text, { 'content-type': type })).headers.get('accept'), 'application/json');
      refused(await nobody('POST', '/api/licenses/validate', { text: '{"license_key":"x"}', headers: { 'content-type': type } }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    }
    for (const coding of ['gzip', 'br']) {
      const answer = await create(text, { 'content-encoding': coding });
      assert.deepEqual(refused(answer, 415, 'UNSUPPORTED_MEDIA_TYPE'), { header: 'Content-Encoding' });
      assert.equal(answer.headers.get('accept-encoding'), 'identity');
    }
    good(await create(text, { 'content-encoding': 'identity' }), 201);
    for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/merge-patch+json']) {
      good(await create(text, { 'content-type': type }), 201);
    }
  });

  test('no Content-Type is fine, and so is any without a body', async () => {
    const bytes = new TextEncoder().encode('{"license_key":"x"}');
    assert.equal((await get('/api/licenses/validate', { method: 'POST', body: bytes })).status, 200);
    const license = await insertLicense(stack, home.id);
    good(await home.as.admin('POST', '/api/licenses/{id}/revoke', { id: license.id, headers: { 'content-type': 'text/plain' } }));
  });

  test('a whole number may have zeros behind its point', async () => {
    const made = await create(`{"plan_id":"${PLANS.free}","custom_limits":{"max_ips":35.0}}`);
    assert.equal(good(made, 201).custom_limits.max_ips, 35);
    refused(await create(`{"plan_id":"${PLANS.free}","custom_limits":{"max_ips":35.5}}`), 400, 'INVALID_BODY');
  });

  test('what is wrong is said in the language of the caller, without names of types', async () => {
    const problems = async (body, language) => {
      const { error } = (await call('POST', '/api/licenses', { body, headers: { 'accept-language': language } })).body;
      return error.details.problem ?? error.details.fields;
    };
    const wrong = { plan_id: PLANS.free, custom_limits: 'x' };
    assert.match(await problems(wrong, 'en'), /^invalid type: string "x", expected an object/);
    assert.match(await problems(wrong, 'es'), /^tipo no válido: el texto "x"; se esperaba un objeto/);
    for (const body of [[], { plan_id: [] }, { plan_id: PLANS.free, custom_limits: { max_ips: 'x' } }, { plan_id: PLANS.free, starts_at: {} }]) {
      assert.doesNotMatch(await problems(body, 'en'), /struct|enum |NewLicense|CustomLimits|[iu](8|16|32|64)|usize/);
    }
    const long = { plan_id: PLANS.free, notes: 'x'.repeat(5001), custom_limits: { max_ips: -2 } };
    const [english, spanish] = [await problems(long, 'en'), await problems(long, 'es')];
    assert.deepEqual(Object.keys(english), Object.keys(spanish));
    assert.deepEqual(english['custom_limits.max_ips'], ['lower than -1']);
    assert.deepEqual(spanish['custom_limits.max_ips'], ['es menor que -1']);
  });

  test('invalid UTF-8', async () => {
    const body = Buffer.concat([Buffer.from(`{"plan_id":"${PLANS.free}","notes":"`), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}')]);
    refused(await create(body), 400, 'INVALID_BODY');
    const validation = Buffer.concat([Buffer.from('{"license_key":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    refused(await nobody('POST', '/api/licenses/validate', { text: validation }), 400, 'INVALID_BODY');
  });

  test('the place that is wrong is named', async () => {
    const details = refused(await create(JSON.stringify({ plan_id: PLANS.free, custom_limits: { max_ips: 'many' } })), 400, 'INVALID_BODY');
    assert.equal(details.path, 'custom_limits.max_ips');
  });

  test('no object has a name twice, also where anything goes', async () => {
    const english = { 'accept-language': 'en' };
    const within = async (metadata) => refused(await create(`{"plan_id":"${PLANS.free}","metadata":${metadata}}`, english), 400, 'INVALID_BODY');
    assert.match((await within('{"a":1,"a":2}')).problem, /^duplicate field `a`/);
    assert.match((await within('{"list":[{},{"a":1,"\\u0061":1}]}')).path, /^metadata\.list\[1\]/);
    const validation = (text) => nobody('POST', '/api/licenses/validate', { text });
    refused(await validation('{"license_key":"x","device_info":{"os":"a","os":"b"}}'), 400, 'INVALID_BODY');
    const items = '{"license_key":"x","device_info":{"os":{"v":1,"v":1}}},{"license_key":"x"}';
    const [wrong, right] = good(await nobody('POST', '/api/licenses/batch-validate', { text: `{"items":[${items}]}` }));
    assert.deepEqual([wrong.error.code, right.error], ['INVALID_BODY', null]);
  });

  test('2 MB', async () => {
    const authorization = `Bearer ${await home.token('developer')}`;
    for (const path of ['/api/licenses', '/api/licenses/validate', '/api/licenses/batch-validate']) {
      refused(await sent(path, { authorization, 'content-length': 2 * 1024 * 1024 }, ' '.repeat(64 * 1024), 32), 413, 'BODY_TOO_LARGE');
    }
  });

  test('2 MB without an announced length', async () => {
    const authorization = `Bearer ${await home.token('developer')}`;
    for (const path of ['/api/licenses', '/api/licenses/validate']) {
      refused(await sent(path, { authorization }, ' '.repeat(64 * 1024), 32), 413, 'BODY_TOO_LARGE');
    }
  });
});

describe('Idempotency-Key', () => {
  const create = (by, key, body = { plan_id: PLANS.free }) => by('POST', '/api/licenses', {
    body, headers: { 'idempotency-key': key },
  });
  const licensesWith = async (notes) => (await stack.pg.query(
    'SELECT id FROM licenses WHERE organization_id = $1 AND notes = $2', [home.id, notes])).rows;

  test('the same request is answered again and done once', async () => {
    const [key, notes] = [randomUUID(), randomUUID()];
    const body = { plan_id: PLANS.free, notes };
    const first = good(await create(call, key, body), 201);
    for (let repeat = 0; repeat < 3; repeat += 1) assert.deepEqual(good(await create(call, key, body), 201), first);
    assert.equal((await licensesWith(notes)).length, 1);
    assert.equal((await auditOf(stack, first.id)).length, 1);
  });

  test('another request with the same key: 409', async () => {
    const key = randomUUID();
    const license = good(await create(call, key), 201);
    refused(await create(call, key, { plan_id: PLANS.starter }), 409, 'IDEMPOTENCY_CONFLICT');
    const other = await call('POST', '/api/licenses/{id}/renew', { id: license.id, body: { plan_id: PLANS.free }, headers: { 'idempotency-key': key } });
    refused(other, 400, 'INVALID_BODY');
    refused(await call('POST', '/api/licenses/{id}/renew', { id: license.id, body: {}, headers: { 'idempotency-key': key } }), 409, 'IDEMPOTENCY_CONFLICT');
  });

  test('20 at the same time make one license', async () => {
    const [key, notes] = [randomUUID(), randomUUID()];
    const answers = await Promise.all(Array.from({ length: 20 }, () => create(call, key, { plan_id: PLANS.free, notes })));
    const ids = new Set(answers.map((answer) => good(answer, 201).id));
    assert.equal(ids.size, 1);
    assert.deepEqual(await licensesWith(notes), [{ id: [...ids][0] }]);
  });

  test('a refused request leaves the key free', async () => {
    const key = randomUUID();
    refusedFields(await create(call, key, { plan_id: randomUUID() }), 'plan_id');
    good(await create(call, key), 201);
  });

  test('callers do not share keys', async () => {
    const key = randomUUID();
    const apiKey = await withApiKey(stack, home.users.developer, home.id);
    const answers = [await create(call, key), await create(home.as.admin, key), await create(apiKey, key), await create(home.as.super_admin, key)];
    assert.equal(new Set(answers.map((answer) => good(answer, 201).id)).size, 4);
    const again = await signedIn(stack, home.users.developer);
    assert.equal(good(await create(again, key), 201).id, answers[0].data.id);
  });

  test('the other actions honour it', async () => {
    const license = await insertLicense(stack, home.id);
    const act = (action, body, key) => call('POST', `/api/licenses/{id}/${action}`, { id: license.id, body, headers: { 'idempotency-key': key } });
    for (const [action, body, status] of [['renew', { months: 1 }, 200], ['bind-ip', { ip_address: '192.0.2.9' }, 201], ['revoke', {}, 200], ['reactivate', {}, 200]]) {
      const key = randomUUID();
      const first = good(await act(action, body, key), status);
      assert.deepEqual(good(await act(action, body, key), status), first, action);
    }
    assert.equal((await auditOf(stack, license.id)).length, 4);
  });

  test('keys of the wrong length', async () => {
    good(await create(call, 'k'.repeat(255)), 201);
    refused(await create(call, 'k'.repeat(256)), 400, 'INVALID_HEADER');
    refused(await create(call, ''), 400, 'INVALID_HEADER');
    refused(await create(call, 'clé'), 400, 'INVALID_HEADER');
  });
});
