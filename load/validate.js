// Programs that start all over the world, each with its license: warm validations over many keys.

import { arriving, call, cancelLicenses, makeLicenses, oneOf } from './lib.js';

export const options = arriving();

export async function setup() {
  return { licenses: await makeLicenses() };
}

/** @param {{ licenses: { id: string, license_key: string }[] }} data */
export default async function validate({ licenses }) {
  await call('POST', '/api/licenses/validate', {
    body: { license_key: oneOf(licenses).license_key, device_info: { os: 'load' } },
    looks: { 'the license is valid': (data) => data.valid === true && data.code === 'VALID' },
  });
}

/** @param {{ licenses: { id: string }[] }} data */
export async function teardown({ licenses }) {
  await cancelLicenses(licenses);
}
