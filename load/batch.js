// A vendor's server that validates for many of its programs at once.

import { arriving, call, cancelLicenses, makeLicenses, oneOf } from './lib.js';

const ITEMS = 20;

export const options = arriving({ share: 0.05, p95: 200 });

export async function setup() {
  return { licenses: await makeLicenses() };
}

/** @param {{ licenses: { id: string, license_key: string }[] }} data */
export default async function batch({ licenses }) {
  const items = Array.from({ length: ITEMS }, () => ({ license_key: oneOf(licenses).license_key }));
  await call('POST', '/api/licenses/batch-validate', {
    body: { items },
    looks: { 'each item is answered as valid': (data) => data.length === ITEMS && data.every((/** @type {any} */ one) => one.verdict?.valid === true) },
  });
}

/** @param {{ licenses: { id: string }[] }} data */
export async function teardown({ licenses }) {
  await cancelLicenses(licenses);
}
