// Who is calling.

export default {
  // Nobody signs people in here, so the good call comes as far as that; auth-provider.test.mjs has a provider.
  'POST /api/auth/refresh': { open: true, status: 503, body: { refresh_token: 'x' } },
  // Nobody who sends no token is invited; auth-provider.test.mjs has people who are.
  'POST /api/auth/accept-invitation': { open: true, status: 401, body: { token: 'x' } },
  'POST /api/auth/verify': { signedIn: true, leavesNoAuditRow: true, body: {} },
  'GET /api/auth/me': { permission: 'account:read', belongsToNoTenant: true },
  'POST /api/auth/logout': { signedIn: true, status: 204, body: {} },
};
