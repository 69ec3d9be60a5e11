// Who may do what by role, as the product promises it: written out here, so that the tests do not
// believe the worker's own table.

const EVERYBODY = [
  'licenses:read', 'account:read', 'account:write', 'organizations:read', 'plans:read', 'flags:evaluate',
  'telemetry:write', 'reviews:write', 'assets:read',
];
const MANAGER = ['users:read', 'users:write', 'audit:read', 'telemetry:read', 'products:read', 'assets:write'];
const DEVELOPER = [
  'licenses:validate', 'licenses:write', 'licenses:delete', 'licenses:revoke', 'webhooks:read', 'webhooks:write',
  'telemetry:read', 'products:read', 'products:write', 'releases:write',
];
const ADMIN = ['organizations:write', 'api_keys:read', 'api_keys:write', 'settings:read', 'audit:export'];
const SUPER_ONLY = [
  'organizations:create', 'organizations:delete', 'settings:write', 'plans:write', 'feature_flags:read',
  'feature_flags:write', 'system:read', 'system:write', 'categories:write', 'reviews:moderate',
];

/** What somebody can be in an organization. */
export const ROLES = ['super_admin', 'admin', 'manager', 'developer', 'operator', 'client', 'viewer'];

/** Every permission there is. */
export const PERMISSIONS = [...new Set([...EVERYBODY, ...MANAGER, ...DEVELOPER, ...ADMIN, ...SUPER_ONLY])];

/** What each role may do. */
export const GRANTED = {
  super_admin: PERMISSIONS,
  admin: PERMISSIONS.filter((permission) => !SUPER_ONLY.includes(permission)),
  manager: [...EVERYBODY, ...MANAGER],
  developer: [...EVERYBODY, ...DEVELOPER],
  operator: EVERYBODY,
  client: EVERYBODY,
  viewer: EVERYBODY,
};

/** Whether a role holds a permission. */
export const holds = (role, permission) => GRANTED[role].includes(permission);

/** Whether nobody but a super administrator holds a permission. */
export const isSuperOnly = (permission) => SUPER_ONLY.includes(permission);
