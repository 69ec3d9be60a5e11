// A stand-in for Supabase Auth: answers as its API does, and only to those who ask as its API wants.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { jwtVerify } from 'jose';
import { token } from './tokens.mjs';

/** Starts a provider; `provider.vars` must be the worker's before anybody asks. */
export async function startProvider() {
  const provider = {
    /** The variables of the worker. */
    vars: undefined,
    /** What it was asked: `{ what, subject }`. */
    asked: [],
    /** The people by subject: `{ id, email, email_confirmed_at }`. */
    people: new Map(),
    /** The keys it has published (JWK). */
    keys: [],
    /** Instead of the next answers: `{ status, headers }`. */
    trouble: undefined,
    /** A promise that the next answers wait for. */
    pause: undefined,
  };
  const grants = new Map();

  /** A refresh token for somebody's sign-in. */
  provider.refreshToken = (subject, session) => {
    const text = randomUUID();
    grants.set(text, { subject, session });
    return text;
  };

  const bearer = async (request) => {
    const [scheme, text] = (request.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer') return undefined;
    const { payload } = await jwtVerify(text, new TextEncoder().encode(provider.vars.SUPABASE_JWT_SECRET));
    return payload;
  };

  const answers = {
    'GET /auth/v1/.well-known/jwks.json': () => {
      provider.asked.push({ what: 'keys' });
      return [200, { keys: provider.keys }];
    },
    'GET /auth/v1/user': async (request) => {
      const claims = await bearer(request);
      const person = provider.people.get(claims?.sub);
      provider.asked.push({ what: 'user', subject: claims?.sub });
      return person ? [200, person] : [403, { error_code: 'user_not_found' }];
    },
    'POST /auth/v1/token?grant_type=refresh_token': async (request, body) => {
      provider.asked.push({ what: 'refresh', body });
      const grant = grants.get(body.refresh_token);
      if (!grant) return [400, { error_code: 'refresh_token_not_found' }];
      grants.delete(body.refresh_token);
      return [200, {
        access_token: await token(provider.vars, grant.subject, { session_id: grant.session, ...grant.more }),
        token_type: 'bearer',
        expires_in: 3600,
        expires_at: Math.floor(Date.now() / 1000) + 3600,
        refresh_token: provider.refreshToken(grant.subject, grant.session),
        user: { id: grant.subject },
      }];
    },
    'POST /auth/v1/logout?scope=local': async (request) => {
      const claims = await bearer(request);
      provider.asked.push({ what: 'logout', subject: claims?.sub, session: claims?.session_id });
      return claims ? [204] : [401, { error_code: 'no_authorization' }];
    },
  };

  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const reply = (status, body, headers = {}) => response
      .writeHead(status, { 'content-type': 'application/json', ...headers }).end(body && JSON.stringify(body));
    try {
      await provider.pause;
      if (provider.trouble) return reply(provider.trouble.status, {}, provider.trouble.headers);
      const isOpen = request.url.startsWith('/auth/v1/.well-known/');
      if (!isOpen && request.headers.apikey !== provider.vars.SUPABASE_ANON_KEY) return reply(401, { message: 'No API key found' });
      const answer = answers[`${request.method} ${request.url}`];
      if (!answer) return reply(404, {});
      return reply(...await answer(request, text && JSON.parse(text)));
    } catch (error) {
      return reply(401, { message: error.message });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  provider.url = `http://127.0.0.1:${server.address().port}`;
  provider.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return provider;
}
