// The tables of routes/<module>.mjs in one, and the making of what a route's good call refers to.

import { readdirSync } from 'node:fs';
import { createUser } from './world.mjs';

// What a table may say of a route. One of the first three:
export const FIELDS = [
  'open', //          anybody may call it
  'signedIn', //      anybody who is somebody may call it
  'permission', //    what the caller must be allowed to do
  'own', //           the permission that is enough when the person `{id}` of the path is the caller
  'status', //        of the good call, 200 unless said
  'contentType', //   of a good answer that is no JSON
  'query', //         the parameters that it must have
  'body', //          the body of the good call, when the route takes one
  'prepare', //       async (world, owner) => what the path names ({ id, inner_id, key… }) and what goes beyond
  //                  the fields above ({ body, query }): a new one each time, in world.ours, for the person owner
  'notFound', //      the code for a thing of the path that is not there, NOT_FOUND unless said;
  //                  false: the name in the path may be any
  'innerNotFound', // the same for `{inner_id}`
  'shared', //        what the path names belongs to no tenant
  'owned', //         a client sees only the own ones
  'unaudited', //     the good call changes nothing that belongs in the audit log, though it is no GET
  'list', //          lists rows of the caller's organization; a number says how many a new one has
];

/** What each route needs, by `METHOD /path`. */
export const ROUTES = {};
const modules = new Map();
for (const file of readdirSync(new URL('../routes/', import.meta.url)).sort()) {
  const { default: table } = await import(`../routes/${file}`);
  for (const [name, route] of Object.entries(table)) {
    if (name in ROUTES) throw new Error(`${name} is in two tables`);
    ROUTES[name] = route;
    modules.set(name, file.replace('.mjs', ''));
  }
}

/** The same as a list, with `module`, `method`, `path` and the names of the path's `parameters`. */
export const routes = Object.entries(ROUTES).map(([name, route]) => {
  const [method, path] = name.split(' ');
  return { name, module: modules.get(name), method, path, route, parameters: [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter) };
});

/** What `prepare` is given: the organization to make things in, and another one. */
export function worldOf(stack, ours, theirs) {
  return { stack, ours, theirs, createUser: (role = 'viewer') => createUser(stack, ours.id, role) };
}

/** The arguments of a good call to something new, which belongs to `owner`. */
export async function target(route, world, owner) {
  const made = await route.prepare?.(world, owner);
  return { query: route.query, body: route.body, ...made };
}
