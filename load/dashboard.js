// People with the dashboard open: who they are, then the lists that its pages show.

import { arriving, call, cancelLicenses, makeLicenses, oneOf } from './lib.js';

export const options = arriving({ share: 0.02 });

export async function setup() {
  return { licenses: await makeLicenses() };
}

/** @param {{ licenses: { id: string }[] }} data */
export default async function dashboard({ licenses }) {
  await call('GET', '/api/auth/me', { looks: { 'it is somebody': (data) => Boolean(data.profile.id) } });
  await call('GET', '/api/licenses?per_page=20&sort=created_at&order=desc', {
    name: '/api/licenses', looks: { 'there are licenses': (data) => data.length > 0 },
  });
  const { id } = oneOf(licenses);
  await call('GET', `/api/licenses/${id}`, { name: '/api/licenses/{id}', looks: { 'it is that license': (data) => data.id === id } });
  await call('GET', `/api/licenses/${id}/usage`, { name: '/api/licenses/{id}/usage', looks: { 'its use is known': (data) => Boolean(data) } });
  await call('GET', '/api/audit-logs?per_page=20', { name: '/api/audit-logs', looks: { 'something happened': (data) => data.length > 0 } });
}

/** @param {{ licenses: { id: string }[] }} data */
export async function teardown({ licenses }) {
  await cancelLicenses(licenses);
}
