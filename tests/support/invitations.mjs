// What somebody invited finds in their e-mail, and how they accept.

import { createDecipheriv } from 'node:crypto';
import { caller } from './api.mjs';

/** The link and the token in the last e-mail to an address, which the outbox has sealed. */
export async function invitationTo(stack, email) {
  const { rows } = await stack.pg.query(
    `SELECT payload FROM outbox_messages WHERE topic = 'email.send' AND payload->>'to' = $1
     ORDER BY created_at DESC, id LIMIT 1`, [email]);
  const { id, link } = rows[0].payload;
  const url = new URL(opened(stack.vars, link, `mail:${id}`));
  return { url, token: url.searchParams.get('token') };
}

/** Accepts an invitation as whoever a token of the provider names. */
export function accept(stack, token, invitation) {
  return caller(stack, { token })('POST', '/api/auth/accept-invitation', { body: { token: invitation } });
}

/** A text that was sealed for `associated`, opened. */
function opened(vars, { version, sealed }, associated) {
  const key = Buffer.from(vars.ENCRYPTION_KEY.split(',')[version - 1].trim(), 'base64url');
  const bytes = Buffer.from(sealed, 'base64');
  const cipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
  cipher.setAAD(Buffer.from(associated));
  cipher.setAuthTag(bytes.subarray(-16));
  return cipher.update(bytes.subarray(12, -16), undefined, 'utf8') + cipher.final('utf8');
}
