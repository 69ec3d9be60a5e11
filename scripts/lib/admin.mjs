// The first people of a system: an organization, a plan to sell licenses on, and a super administrator.

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { domainToASCII } from 'node:url';
import { withClient } from './database.mjs';
import { Problem } from './terminal.mjs';

/** For how long an invitation can be accepted; as the API's own. */
const DAYS = 7;

/** The form in which the worker stores an address, for those that it writes in ASCII before the `@`. */
export function normalised(text) {
  const [, local, domain] = text.trim().match(/^([a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64})@([^@\s]+)$/i) ?? [];
  const ascii = domain && domainToASCII(domain);
  const isDomain = ascii && /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*$/.test(ascii);
  if (!local || !isDomain || /^\.|\.$|\.\./.test(local)) {
    throw new Problem(`"${text}" is not an e-mail address that admin:create takes: write it in ASCII before the @.`);
  }
  return `${local.toLowerCase()}@${ascii}`;
}

/** A name as it can stand in a link. */
function slugOf(name) {
  const plain = name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  const slug = plain.replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 100).replace(/-+$/, '');
  if (!slug) throw new Problem(`No name in links can be made of "${name}": give one with --slug.`);
  return slug;
}

/**
 * Makes what is not there yet; the second run finds it all.
 *
 * @param {string} url of the database, as its owner
 * @param {{email: string, organization: string, slug?: string, subject?: string}} wanted `subject`: the id of an
 *   account at the sign-in provider, which is the super administrator at once; without it there is an invitation
 * @returns `{ organization, plan, email, outcome, token }`: `outcome` is `there`, `made` or `invited`, and only
 *   the last has a `token`
 */
export function createAdmin(url, { email, organization, slug = slugOf(organization), subject }) {
  const address = normalised(email);
  return withClient(url, async (client) => {
    await client.query('BEGIN');
    // Row-level security binds the owner as well.
    await client.query("SELECT set_config('celaest.access', 'system', true)");
    const one = async (sql, values) => (await client.query(sql, values)).rows[0];
    const log = (organizationId, kind, id, event, changes) => client.query(
      "SELECT log_audit(NULL, $1, 'create', $2, $3, 'npm run admin:create', $4, $5)",
      [organizationId, kind, id, JSON.stringify({ before: {}, after: changes }), event]);

    // One after the other, should two run at once.
    await client.query('LOCK TABLE subscription_plans IN SHARE ROW EXCLUSIVE MODE');
    let plan = await one('SELECT id, code FROM subscription_plans ORDER BY sort_order, code LIMIT 1');
    if (!plan) {
      plan = await one(
        "INSERT INTO subscription_plans (code, name, price_monthly, price_yearly) VALUES ('free', 'Free', 0, 0) RETURNING id, code");
      await log(null, 'plan', plan.id, 'plan.created', { code: plan.code });
    }
    let home = await one('SELECT id, name, slug, deleted_at FROM organizations WHERE slug = $1', [slug]);
    if (home?.deleted_at) throw new Problem(`The organization "${slug}" was closed: choose another name, or a --slug.`);
    if (!home) {
      home = await one('INSERT INTO organizations (name, slug) VALUES ($1, $2) RETURNING id, name, slug', [organization, slug]);
      await log(home.id, 'organization', home.id, 'organization.created', { name: home.name, slug });
    }
    const found = await one(
      `SELECT id, organization_id, role::text, (invited_at IS NULL OR activated_at IS NOT NULL) AS came
       FROM users_profile WHERE email = $1 AND deleted_at IS NULL
         AND (organization_id = $2 OR invited_at IS NULL OR activated_at IS NOT NULL)
       ORDER BY came DESC LIMIT 1`, [address, home.id]);
    const done = async (outcome, token) => {
      await client.query('COMMIT');
      return { organization: home, plan: plan.code, email: address, outcome, token };
    };
    if (found?.came) {
      if (found.role === 'super_admin') return done('there');
      throw new Problem(`${address} is somebody already, with the role ${found.role}: remove them first, or take another address.`);
    }
    const id = found?.id ?? randomUUID();
    if (!found) {
      await client.query(
        `INSERT INTO users_profile (id, organization_id, email, role, invited_at) VALUES ($1, $2, $3, 'super_admin', now())`,
        [id, home.id, address]);
    }
    const token = subject ? undefined : randomBytes(32).toString('base64url');
    await client.query(
      `UPDATE users_profile SET role = 'super_admin', auth_user_id = $2, activated_at = CASE WHEN $2::uuid IS NOT NULL THEN now() END,
         invited_at = now(), invitation_hash = $3,
         invitation_expires_at = CASE WHEN $3::text IS NOT NULL THEN now() + make_interval(days => $4) END
       WHERE id = $1`,
      [id, subject ?? null, token ? createHash('sha256').update(token).digest('hex') : null, DAYS]);
    await log(home.id, 'user', id, subject ? 'user.activated' : 'user.invited', { email: address, role: 'super_admin' });
    return done(subject ? 'made' : 'invited', token);
  });
}
