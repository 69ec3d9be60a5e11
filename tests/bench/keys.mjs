// License keys that the worker takes for its own, put into the database.

import { CROCKFORD, licenseKey } from '../../scripts/lib/license-key.mjs';

const PROFESSIONAL = '30000000-0000-4000-8000-000000000003';

/** Active licenses of an organization, inserted in one statement; returns their keys. */
export async function insertLicenses(client, { organization, product, count, vars }) {
  const keys = Array.from({ length: count }, (_, index) => {
    const random = [...Array(8).keys()].map((place) => CROCKFORD[(index >> (5 * (7 - place))) & 31]).join('');
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
