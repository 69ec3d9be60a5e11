// The checksum of license keys, for the sample data: the worker's own is in Rust.

import { createHmac } from 'node:crypto';
import { newest } from './secrets.mjs';

/** The letters and digits of a key. */
export const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The last four characters of a key: the first 20 bits of the HMAC of all before them, under the newest of the secrets. */
export function checksum(body, secrets) {
  const bits = createHmac('sha256', newest(secrets)).update(body).digest().readUInt32BE(0) >>> 12;
  return [15, 10, 5, 0].map((shift) => CROCKFORD[(bits >>> shift) & 31]).join('');
}

/** A whole key: `CELAEST-{product code}-{8 characters}-{4 of checksum}`. */
export function licenseKey(productCode, random, secrets) {
  const body = `CELAEST-${productCode}-${random}`;
  return `${body}-${checksum(body, secrets)}`;
}

/** Fills in `{{license_key:CODE:RANDOM}}` in SQL; returns the SQL and the keys. */
export function fillPlaceholders(text, secrets) {
  const keys = [];
  const sql = text.replace(/\{\{license_key:([A-Z0-9]+):([0-9A-Z]{8})\}\}/g, (_, code, random) => {
    const key = licenseKey(code, random, secrets);
    keys.push(key);
    return key;
  });
  return { sql, keys };
}
