// Tenants of a test's own: two organizations that no other test touches, with people in every role.

import { randomBytes, randomUUID } from 'node:crypto';
import { ids } from '../harness/client.mjs';
import { caller } from './api.mjs';
import { ROLES } from './roles.mjs';
import { insertApiKey, licenseKey, token } from './tokens.mjs';

/** The plans of the sample data. */
export const PLANS = ids.plans;

/**
 * Makes an organization with one user of each role (also a super administrator, who is at home in it and
 * sees all) and one published product.
 *
 * @returns `{ id, users: {role: id}, as: {role: call}, product: {id, code}, token(role) }`
 */
export async function createOrganization(stack, { roles = ROLES } = {}) {
  const id = randomUUID();
  const slug = `t-${randomBytes(6).toString('hex')}`;
  await insert(stack, 'organizations', { id, name: slug, slug, max_users: 1000 });
  const users = {};
  const as = {};
  for (const role of roles) {
    users[role] = await createUser(stack, id, role);
    as[role] = await signedIn(stack, users[role]);
  }
  return {
    id,
    slug,
    users,
    as,
    product: await createProduct(stack, id),
    /** A token of the user with this role. */
    token: (role) => token(stack.vars, users[role]),
  };
}

/** Adds a user; `more` overrides columns. */
export async function createUser(stack, organization, role, more = {}) {
  const id = randomUUID();
  const row = { id, organization_id: organization, email: `${role}-${id}@example.test`, role, ...more };
  await insert(stack, 'users_profile', row);
  return id;
}

/** Adds a super administrator who is in no organization. */
export function createSuperAdmin(stack) {
  return createUser(stack, null, 'super_admin');
}

/** Adds a product; its code is part of license keys. */
export async function createProduct(stack, organization, more = {}) {
  const row = {
    id: randomUUID(),
    organization_id: organization,
    code: `P${randomBytes(3).toString('hex').toUpperCase()}`,
    name: 'Product',
    slug: `p-${randomBytes(8).toString('hex')}`,
    product_type: 'software',
    status: 'published',
    price: 10,
    ...more,
  };
  await insert(stack, 'products', row);
  return row;
}

/** Adds a license past the API, for states that the API does not make; returns its row. */
export async function insertLicense(stack, organization, more = {}) {
  const row = {
    id: randomUUID(),
    organization_id: organization,
    plan_id: PLANS.professional,
    license_key: licenseKey(stack.vars, 'GEN'),
    status: 'active',
    starts_at: new Date(Date.now() - 86_400_000),
    expires_at: new Date(Date.now() + 30 * 86_400_000),
    ...more,
  };
  await insert(stack, 'licenses', row);
  return row;
}

/** Adds a row to a table. */
export async function insert(stack, table, row) {
  const columns = Object.keys(row);
  await stack.pg.query(
    `INSERT INTO ${table} (${columns}) VALUES (${columns.map((_, index) => `$${index + 1}`)})`,
    Object.values(row),
  );
}

/** A function that calls the API as a user. */
export async function signedIn(stack, user) {
  return caller(stack, { token: await token(stack.vars, user) });
}

/** A function that calls the API with a new key of a user; `more` overrides columns. */
export async function withApiKey(stack, user, organization, more = {}) {
  const { key, id } = await insertApiKey(stack.pg, stack.vars, { user, organization, ...more });
  return Object.assign(caller(stack, { apiKey: key }), { key, id });
}

/** The audit rows of a thing, oldest first. */
export async function auditOf(stack, id) {
  const { rows } = await stack.pg.query(
    `SELECT event, action::text, changes, actor_kind, user_id, api_key_id, organization_id, request_id, resource_type
     FROM audit_logs WHERE resource_id = $1 ORDER BY sequence`, [id]);
  return rows;
}

/** The published events of a license, oldest first. */
export async function eventsOf(stack, id) {
  const { rows } = await stack.pg.query(
    `SELECT topic, payload, sent_at, organization_id FROM outbox_messages
     WHERE payload->'license'->>'id' = $1 ORDER BY created_at`, [id]);
  return rows;
}

/** The topics of the published events about a `user`, an `api_key` or an `organization`, oldest first. */
export async function topicsAbout(stack, kind, id) {
  const { rows } = await stack.pg.query(
    'SELECT topic FROM outbox_messages WHERE payload->$1->>\'id\' = $2 ORDER BY created_at', [kind, id]);
  return rows.map(({ topic }) => topic);
}

/** The tables in which a secret can be read. */
export async function placesOf(stack, secret) {
  const { rows } = await stack.pg.query(
    `SELECT 'audit_logs' AS place FROM audit_logs a WHERE strpos(a::text, $1) > 0
     UNION ALL SELECT 'outbox_messages' FROM outbox_messages m WHERE strpos(m::text, $1) > 0
     UNION ALL SELECT 'idempotency_keys' FROM idempotency_keys k WHERE strpos(k::text, $1) > 0
     UNION ALL SELECT 'user_api_keys' FROM user_api_keys k WHERE strpos(k::text, $1) > 0`, [secret]);
  return rows.map(({ place }) => place);
}

/** A row of a table by its id. */
export async function rowOf(stack, table, id) {
  const { rows } = await stack.pg.query(`SELECT * FROM ${table} WHERE id = $1`, [id]);
  return rows[0];
}
