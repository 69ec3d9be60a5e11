// The tables of routes/<module>.mjs in one, and the making of what a route's good call refers to.

import { readdirSync } from 'node:fs';
import { createUser } from './world.mjs';

// What a table may say of a route. Who may call it is one of the first three.
export const FIELDS = [
  'open', 'signedIn', 'permission',
  // The permission that is enough when the person `{id}` of the path is the caller.
  'permissionForOneself',
  // The good call, and its answer: 200 and JSON unless said.
  'query', 'body', 'status', 'contentType',
  // async (world, owner) => what the path names ({ id, inner_id, key… }) and what goes beyond the fields above
  // ({ body, query }): a new one each time, in world.ours, for the person `owner`.
  'make',
  // The code for a thing of the path that is not there: NOT_FOUND unless said.
  'errorWhenUnknown', 'errorWhenInnerUnknown', 'anyNameIsFine',
  // Whose rows it shows: the caller's organization's (how many a new one has, or true), and of those
  // to a client only the own ones.
  'rowsOfNewTenant', 'clientSeesOwnOnly', 'belongsToNoTenant',
  // The good call changes nothing that belongs in the audit log, though it is no GET.
  'leavesNoAuditRow',
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
  const made = await route.make?.(world, owner);
  return { query: route.query, body: route.body, ...made };
}
