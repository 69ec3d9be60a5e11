// Who is calling.

export default {
  // Nobody signs people in here, so the good call comes as far as that; auth-provider.test.mjs has a provider.
  'POST /api/auth/refresh': { open: true, status: 503, body: { refresh_token: 'x' } },
  'POST /api/auth/verify': { signedIn: true, leavesNoAuditRow: true, body: {} },
  'GET /api/auth/me': { signedIn: true },
  'POST /api/auth/logout': { signedIn: true, status: 204, body: {} },
};
