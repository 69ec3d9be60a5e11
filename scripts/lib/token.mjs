// A token as Supabase Auth would issue it, signed with the local HS256 secret.

import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';

/** The claims of a good token of `sub`, for a worker with these variables; `more` replaces them, `undefined` leaves one out. */
export function claimsOf(vars, sub, more = {}, lifetime = 3600) {
  const now = Math.floor(Date.now() / 1000);
  return {
    sub,
    iss: `${vars.SUPABASE_URL}/auth/v1`,
    aud: vars.SUPABASE_JWT_AUDIENCE ?? 'authenticated',
    role: 'authenticated',
    iat: now,
    exp: now + lifetime,
    session_id: randomUUID(),
    ...more,
  };
}

/** Signs claims; a `key` that is a text is a shared secret. */
export function signToken(claims, { alg = 'HS256', kid, key }) {
  const secret = typeof key === 'string' ? new TextEncoder().encode(key) : key;
  return new SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(secret);
}
