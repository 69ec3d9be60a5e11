// License keys and API keys that the worker takes for its own, put into the database.

import { createHmac, randomBytes } from 'node:crypto';
import { licenseKey } from '../../scripts/lib/license-key.mjs';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const PROFESSIONAL = '30000000-0000-4000-8000-000000000003';

/** Active licenses of an organization, inserted in one statement; returns their keys. */
export async function insertLicenses(client, { organization, product, count, vars }) {
  const keys = Array.from({ length: count }, (_, index) => {
    const random = [...Array(8).keys()].map((place) => ALPHABET[(index >> (5 * (7 - place))) & 31]).join('');
    return licenseKey(product, random, vars.LICENSE_KEY_SECRET);
  });
  await client.query(
    `INSERT INTO licenses (organization_id, plan_id, license_key, status, expires_at, billing_cycle)
     SELECT $1, $2, key, 'active', now() + interval '1 year', 'yearly' FROM unnest($3::text[]) AS key`,
    [organization, PROFESSIONAL, keys],
  );
  return keys;
}

/** A license key whose last character is wrong. */
export const spoilt = (key) => `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`;

/** An API key of a user with all scopes; returns its text. */
export async function insertApiKey(client, { user, organization, vars }) {
  const keyed = (text) => createHmac('sha256', vars.API_KEY_PEPPER).update(text);
  const drawn = `celk_${randomBytes(6).toString('base64url')}${randomBytes(32).toString('base64url')}`;
  const key = drawn + keyed(`check:${drawn}`).digest('base64url').slice(0, 6);
  await client.query(
    `INSERT INTO user_api_keys (user_id, organization_id, name, key_hash, key_prefix, scopes)
     VALUES ($1, $2, 'bench', $3, $4, '{*}')`,
    [user, organization, keyed(key).digest('hex'), key.slice(0, 13)],
  );
  return key;
}
