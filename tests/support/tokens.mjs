// Access tokens as Supabase issues them, and API keys and license keys as the system stores them.

import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';

/** The claims of a good token of `sub`, for a worker with these variables. */
export function claims(vars, sub, more = {}) {
  const now = Math.floor(Date.now() / 1000);
  return {
    sub,
    iss: `${vars.SUPABASE_URL}/auth/v1`,
    aud: vars.SUPABASE_JWT_AUDIENCE ?? 'authenticated',
    role: 'authenticated',
    iat: now,
    exp: now + 3600,
    session_id: randomUUID(),
    ...more,
  };
}

/** A token signed with the shared secret. A claim that is `undefined` is left out. */
export function token(vars, sub, more = {}, secret = vars.SUPABASE_JWT_SECRET) {
  return new SignJWT(claims(vars, sub, more))
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secret));
}

/** A token signed with a private key. */
export function signedToken(vars, sub, { alg, kid, key }, more = {}) {
  return new SignJWT(claims(vars, sub, more)).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(key);
}

/** Inserts an API key and returns its text. `more` overrides columns. */
export async function insertApiKey(pg, vars, { user, organization, ...more }) {
  const key = `celk_${randomBytes(4).toString('hex')}${randomBytes(24).toString('base64url')}`;
  const row = {
    user_id: user,
    organization_id: organization,
    name: 'test',
    key_hash: createHmac('sha256', vars.API_KEY_PEPPER).update(key).digest('hex'),
    key_prefix: key.slice(0, 13),
    scopes: ['*'],
    ...more,
  };
  const columns = Object.keys(row);
  const { rows } = await pg.query(
    `INSERT INTO user_api_keys (${columns}) VALUES (${columns.map((_, index) => `$${index + 1}`)}) RETURNING id`,
    Object.values(row),
  );
  return { key, id: rows[0].id };
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The last four characters of a license key: the first 20 bits of its HMAC in Crockford base32. */
export function checksum(vars, signed) {
  const bits = createHmac('sha256', vars.LICENSE_KEY_SECRET).update(signed).digest().readUIntBE(0, 3) >> 4;
  return [15, 10, 5, 0].map((shift) => ALPHABET[(bits >> shift) & 31]).join('');
}

/** A new license key that nobody has. */
export function licenseKey(vars, product = 'GEN') {
  const random = [...randomBytes(8)].map((byte) => ALPHABET[byte & 31]).join('');
  const signed = `CELAEST-${product}-${random}`;
  return `${signed}-${checksum(vars, signed)}`;
}
