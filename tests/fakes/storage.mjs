// A stand-in for Supabase Storage: answers as its API does, only to whoever asks as it wants, and serves
// only what a link that it signed is for. One for a whole run; the buckets' folders are named by products, so
// tests do not meet in it.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import http from 'node:http';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Starts a storage whose service key is `key`; `asked` are the requests for links, with what was wrong. */
export async function startStorage(key) {
  const secret = randomBytes(32);
  const objects = new Map();
  const uploads = new Set();
  const asked = [];
  let trouble;

  const signed = (claims) => {
    const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
  };

  /** The claims of a token that is good for this path, or why it is not. */
  const checked = (token, path) => {
    const [head, body, signature] = (token ?? '').split('.');
    const right = createHmac('sha256', secret).update(`${head}.${body}`).digest();
    const given = Buffer.from(signature ?? '', 'base64url');
    if (given.length !== right.length || !timingSafeEqual(given, right)) return { wrong: 'InvalidSignature' };
    const claims = JSON.parse(Buffer.from(body, 'base64url'));
    if (claims.exp * 1000 <= Date.now()) return { wrong: 'jwt expired' };
    if (claims.url !== path) return { wrong: 'InvalidSignature' };
    return { claims };
  };

  /** What is wrong with a request that only the project itself may make. */
  const refusal = ({ headers, method }, body) => {
    if (headers.apikey !== key) return 'apikey';
    if (headers.authorization !== `Bearer ${key}`) return 'authorization';
    if (method !== 'PUT' && !/^application\/json/.test(headers['content-type'] ?? '')) return 'content-type';
    if (method !== 'PUT' && (typeof body !== 'object' || body === null)) return 'body';
    return undefined;
  };

  const routes = [
    // To arrange and to look, for tests: objects past the links, what was asked, and what goes wrong next.
    ['PUT', /^\/test\/(.+)$/, (path, { bytes }) => [200, objects.set(path, bytes) && {}]],
    ['GET', /^\/test\/asked$/, () => [200, asked]],
    ['POST', /^\/test\/trouble$/, (_, { body }) => {
      trouble = body.status;
      return [200, {}];
    }],
    ['POST', /^\/object\/sign\/(.+)$/, (path, { request, body }) => {
      const wrong = refusal(request, body) ?? (Number.isInteger(body.expiresIn) && body.expiresIn > 0 ? undefined : 'expiresIn');
      asked.push({ path, expiresIn: body?.expiresIn, wrong });
      if (wrong) return [400, { statusCode: '403', error: 'Unauthorized', message: wrong }];
      if (!objects.has(path)) return [400, { statusCode: '404', error: 'not_found', message: 'Object not found' }];
      const now = Math.floor(Date.now() / 1000);
      return [200, { signedURL: `/object/sign/${path}?token=${signed({ url: path, iat: now, exp: now + body.expiresIn })}` }];
    }],
    ['GET', /^\/object\/sign\/(.+)$/, (path, { query }) => {
      const { wrong } = checked(query.get('token'), path);
      if (wrong) return [400, { statusCode: '400', error: 'InvalidJWT', message: wrong }];
      return [200, objects.get(path), { 'content-disposition': `attachment; filename="${query.get('download')}"` }];
    }],
    ['POST', /^\/object\/upload\/sign\/(.+)$/, (path, { request, body }) => {
      const wrong = refusal(request, body);
      if (wrong) return [400, { statusCode: '403', error: 'Unauthorized', message: wrong }];
      const token = signed({ url: path, exp: Math.floor(Date.now() / 1000) + 7200, upload: true });
      return [200, { url: `/object/upload/sign/${path}?token=${token}`, token }];
    }],
    ['PUT', /^\/object\/upload\/sign\/(.+)$/, (path, { query, bytes }) => {
      const { wrong, claims } = checked(query.get('token'), path);
      if (wrong || !claims.upload) return [400, { statusCode: '400', error: 'InvalidJWT', message: wrong ?? 'not for this' }];
      if (uploads.has(query.get('token'))) return [400, { statusCode: '409', error: 'Duplicate', message: 'The resource already exists' }];
      uploads.add(query.get('token'));
      objects.set(path, bytes);
      return [200, { Key: path }];
    }],
  ];

  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const url = new URL(request.url, 'http://storage.test');
    const json = (status, body, headers = {}) => {
      const isFile = Buffer.isBuffer(body);
      response.writeHead(status, { 'content-type': isFile ? 'application/octet-stream' : 'application/json', ...headers });
      response.end(isFile ? body : JSON.stringify(body));
    };
    if (trouble && !url.pathname.startsWith('/test/')) {
      const status = trouble;
      trouble = undefined;
      return json(status, { message: 'trouble' });
    }
    for (const [method, pattern, answer] of routes) {
      const found = method === request.method && pattern.exec(url.pathname);
      if (!found) continue;
      let body;
      try {
        body = bytes.length && request.method === 'POST' ? JSON.parse(bytes) : undefined;
      } catch {
        return json(400, { message: 'no JSON' });
      }
      return json(...answer(decodeURIComponent(found[1] ?? ''), { request, bytes, body, query: url.searchParams }));
    }
    return json(404, { message: 'no such route' });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
