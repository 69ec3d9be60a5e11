// Who may do what by role, as the product promises it: written out here, so that the tests do not
// believe the worker's own table.

const EVERYBODY = [
  'licenses:read', 'account:read', 'account:write', 'organizations:read', 'plans:read', 'flags:evaluate',
  'telemetry:write', 'ai:read', 'reviews:write', 'assets:read', 'orders:read', 'invoices:read', 'coupons:read', 'tax_rates:read',
  'analytics:own',
];
const BUYER = ['orders:write', 'invoices:send', 'payment_methods:read', 'payment_methods:write'];
const MANAGER = [
  'users:read', 'users:write', 'audit:read', 'telemetry:read', 'ai:use', 'ai_prompts:read', 'products:read', 'assets:write', ...BUYER, 'coupons:write',
  'analytics:read',
];
const DEVELOPER = [
  'licenses:validate', 'licenses:write', 'licenses:delete', 'licenses:revoke', 'webhooks:read', 'webhooks:write',
  'telemetry:read', 'ai:use', 'ai_prompts:read', 'ai_prompts:write', 'ai_keys:read', 'ai_keys:write', 'products:read', 'products:write', 'releases:write',
];
const ADMIN = ['organizations:write', 'api_keys:read', 'api_keys:write', 'settings:read', 'audit:export', 'orders:refund'];
const SUPER_ONLY = [
  'organizations:create', 'organizations:delete', 'settings:write', 'plans:write', 'feature_flags:read',
  'feature_flags:write', 'system:read', 'system:write', 'ai_models:write', 'categories:write', 'reviews:moderate', 'tax_rates:write',
];

/** What somebody can be in an organization. */
export const ROLES = ['super_admin', 'admin', 'manager', 'developer', 'operator', 'client', 'viewer'];

/** Every permission there is. */
export const PERMISSIONS = [...new Set([...EVERYBODY, ...BUYER, ...MANAGER, ...DEVELOPER, ...ADMIN, ...SUPER_ONLY])];

/** What each role may do. */
export const GRANTED = {
  super_admin: PERMISSIONS,
  admin: PERMISSIONS.filter((permission) => !SUPER_ONLY.includes(permission)),
  manager: [...EVERYBODY, ...MANAGER],
  developer: [...EVERYBODY, ...DEVELOPER],
  operator: [...EVERYBODY, 'ai:use'],
  client: [...EVERYBODY, 'ai:use', ...BUYER],
  viewer: EVERYBODY,
};

/** What is a part of a permission, and needs no scope of its own beside it. */
export const INCLUDED = { 'analytics:read': ['analytics:own'] };

/** Whether a role holds a permission. */
export const holds = (role, permission) => GRANTED[role].includes(permission);

/** Whether nobody but a super administrator holds a permission. */
export const isSuperOnly = (permission) => SUPER_ONLY.includes(permission);
