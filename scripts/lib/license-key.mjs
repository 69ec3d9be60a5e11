// The checksum of license keys, for the sample data: the worker's own is in Rust.

import { createHmac } from 'node:crypto';

/** The letters and digits of a key. */
export const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The last four characters of a key: the first 20 bits of the HMAC of all before them. */
export function checksum(body, secret) {
  const bits = createHmac('sha256', secret).update(body).digest().readUInt32BE(0) >>> 12;
  return [15, 10, 5, 0].map((shift) => CROCKFORD[(bits >>> shift) & 31]).join('');
}

/** A whole key: `CELAEST-{product code}-{8 characters}-{4 of checksum}`. */
export function licenseKey(productCode, random, secret) {
  const body = `CELAEST-${productCode}-${random}`;
  return `${body}-${checksum(body, secret)}`;
}

/** Fills in `{{license_key:CODE:RANDOM}}` in SQL; returns the SQL and the keys. */
export function fillPlaceholders(text, secret) {
  const keys = [];
  const sql = text.replace(/\{\{license_key:([A-Z0-9]+):([0-9A-Z]{8})\}\}/g, (_, code, random) => {
    const key = licenseKey(code, random, secret);
    keys.push(key);
    return key;
  });
  return { sql, keys };
}
