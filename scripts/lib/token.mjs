// A token as Supabase Auth would issue it, signed with the local HS256 secret.

import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';

/**
 * @param {object} vars the worker's variables
 * @param {object} claims at least `sub`; they replace the ones set here
 * @param {string} [lifetime] such as `12h`
 */
export function signToken(vars, { sub, ...claims }, lifetime = '12h') {
  return new SignJWT({
    role: 'authenticated', session_id: randomUUID(), aud: vars.SUPABASE_JWT_AUDIENCE, ...claims,
  })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(sub)
    .setIssuer(claims.iss ?? `${vars.SUPABASE_URL}/auth/v1`)
    .setIssuedAt(claims.iat)
    .setExpirationTime(claims.exp ?? lifetime)
    .sign(new TextEncoder().encode(vars.SUPABASE_JWT_SECRET));
}
