// What callers carry, made as the system makes it: tokens, API keys and license keys.

import { createHmac, randomBytes } from 'node:crypto';
import { CROCKFORD, checksum as sumOf, licenseKey as whole } from '../../scripts/lib/license-key.mjs';
import { newest } from '../../scripts/lib/secrets.mjs';
import { claimsOf, signToken } from '../../scripts/lib/token.mjs';

/** The claims of a good token. */
export const claims = claimsOf;

/** A token of `sub` with the shared secret. A claim that is `undefined` is left out. */
export function token(vars, sub, more, secret = vars.SUPABASE_JWT_SECRET) {
  return signToken(claimsOf(vars, sub, more), { key: secret });
}

/** A token signed with a private key. */
export function signedToken(vars, sub, { alg, kid, key }, more) {
  return signToken(claimsOf(vars, sub, more), { alg, kid, key });
}

const keyed = (peppers, text) => createHmac('sha256', newest(peppers)).update(text).digest();

/** The text of an API key that nobody has: the mark, a name, a secret, and what checks them. */
export function apiKey(peppers) {
  const checked = `celk_${randomBytes(6).toString('base64url')}${randomBytes(32).toString('base64url')}`;
  return checked + keyed(peppers, `check:${checked}`).toString('base64url').slice(0, 6);
}

/** Inserts an API key and returns its text. `more` overrides columns. */
export async function insertApiKey(pg, vars, { user, organization, ...more }) {
  const key = apiKey(vars.API_KEY_PEPPER);
  const row = {
    user_id: user,
    organization_id: organization,
    name: 'test',
    key_hash: keyed(vars.API_KEY_PEPPER, key).toString('hex'),
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

/** The last four characters of a license key. */
export const checksum = (vars, body) => sumOf(body, vars.LICENSE_KEY_SECRET);

/** The eight random characters of a license key. */
export const random8 = () => [...randomBytes(8)].map((byte) => CROCKFORD[byte & 31]).join('');

/** A license key that nobody has. */
export const licenseKey = (vars, product = 'GEN') => whole(product, random8(), vars.LICENSE_KEY_SECRET);
