// Everything that the worker does, one thing after the other: each route that asks who calls, by those who see
// most, and each job.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../scripts/lib/paths.mjs';
import { good } from './api.mjs';
import { isSuperOnly } from './roles.mjs';
import { routes, target, worldOf } from './routes.mjs';
import { createUser, signedIn } from './world.mjs';

/** The jobs, as wrangler.toml has them. */
export const JOBS = [...readFileSync(join(ROOT, 'wrangler.toml'), 'utf8').matchAll(/^ {2}"([^"]+)",/gm)].map(([, job]) => job);

/** The keys that an organization's AI routes are called with, for `startStack`. */
export const WITH_AI = { ai: { keys: { openai: ['walk-1', 'walk-2'] } } };

/** What belongs to the organization's first administrator alone. */
const THE_ADMINS = ['PATCH /api/reviews/{id}', 'DELETE /api/reviews/{id}'];

/** Somebody new of an organization, so that nobody ends another's sign-in; has signed in. */
export async function somebody(stack, organization, role) {
  const call = await signedIn(stack, await createUser(stack, organization.id, role));
  good(await call('GET', '/api/auth/me'));
  return call;
}

/** The routes that ask who calls, each with the roles it is to be called by. */
export const asked = routes.filter(({ route }) => !route.open)
  .map((one) => ({ ...one, roles: isSuperOnly(one.route.permission ?? '') ? ['super_admin'] : ['admin', 'super_admin'] }));

/** Makes what a route needs in organization `a` (`b` is another), and returns what calls it. */
export async function prepared(stack, [a, b], { name, method, path, route }, role) {
  const world = worldOf(stack, a, b);
  const args = await target(route, world, route.permissionForOneself ? await world.createUser() : a.users.client);
  const call = THE_ADMINS.includes(name) ? a.as[role] : await somebody(stack, a, role);
  return async () => good(await call(method, path, args), route.status);
}
