// People, their sign-ins and their API keys.

import { randomUUID } from 'node:crypto';
import { insert } from '../support/world.mjs';
import { insertApiKey } from '../support/tokens.mjs';

const address = () => `${randomUUID()}@example.test`;
const person = async ({ createUser }) => ({ id: await createUser() });
const oneself = async (_, owner) => ({ id: owner });

const session = async ({ stack, ours }, owner) => {
  const id = randomUUID();
  await insert(stack, 'user_sessions', { id, user_id: owner, organization_id: ours.id, session_token: randomUUID() });
  return { id: owner, inner_id: id };
};

// With a scope that everybody holds, so that everybody may rotate an own one.
const apiKey = async ({ stack, ours }, owner) => {
  const made = await insertApiKey(stack.pg, stack.vars, { user: owner, organization: ours.id, scopes: ['account:read'] });
  return { id: owner, inner_id: made.id };
};

const other = { permission: 'users:write', errorWhenUnknown: 'USER_NOT_FOUND', make: person };
const reading = { permission: 'users:read', permissionForOneself: 'account:read', errorWhenUnknown: 'USER_NOT_FOUND', make: oneself };
const writing = { permission: 'users:write', permissionForOneself: 'account:write', errorWhenUnknown: 'USER_NOT_FOUND' };
const readingKeys = { ...reading, permission: 'api_keys:read' };
const writingKeys = { ...writing, permission: 'api_keys:write' };

const invited = async ({ stack, ours }) => {
  const id = randomUUID();
  await insert(stack, 'users_profile', {
    id, organization_id: ours.id, email: address(), role: 'viewer', invited_at: new Date(),
  });
  return { id };
};

export default {
  'GET /api/users': { permission: 'users:read', rowsOfNewTenant: 1, make: person },
  'POST /api/users': {
    permission: 'users:write', status: 201, make: async () => ({ body: { email: address(), role: 'viewer' } }),
  },
  'GET /api/users/{id}': reading,
  'PATCH /api/users/{id}': { ...other, body: { role: 'operator', first_name: 'Ada' } },
  'DELETE /api/users/{id}': { ...other, status: 204 },
  'POST /api/users/{id}/resend-invitation': { ...other, make: invited },
  'POST /api/users/me/leave': { signedIn: true, status: 204, body: {} },
  'GET /api/users/{id}/profile': reading,
  'PATCH /api/users/{id}/profile': { ...writing, body: { display_name: 'Ada' }, make: oneself },
  'GET /api/users/{id}/sessions': { ...reading, make: session },
  'DELETE /api/users/{id}/sessions/{inner_id}': { ...writing, status: 204, make: session },
  'GET /api/users/{id}/api-keys': { ...readingKeys, make: apiKey },
  'POST /api/users/{id}/api-keys': {
    ...writingKeys, status: 201, body: { name: 'for a test', scopes: ['account:read'] }, make: oneself,
  },
  'DELETE /api/users/{id}/api-keys/{inner_id}': { ...writingKeys, status: 204, make: apiKey },
  'POST /api/users/{id}/api-keys/{inner_id}/rotate': { ...writingKeys, status: 201, body: {}, make: apiKey },
};
