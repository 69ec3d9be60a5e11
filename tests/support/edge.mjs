// What the tests of the licensing edge share: a stack, an administrator of their own,
// licenses made to order, and validations as a program would send them.

import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { ids, sharedStack, startStack } from '../harness/client.mjs';
import { caller } from './api.mjs';
import { eventuallyHolds } from './eventually.mjs';
import { licenseKey, random8, token } from './tokens.mjs';
import { PLANS } from './world.mjs';

export { PLANS, eventuallyHolds, random8 };

/** The organization that the tests' licenses belong to. */
export const ACME = ids.organizations.acme;

/** The published product of that organization. */
export const PRODUCT = ids.products.marketing;

const HOUR = 3_600_000;

/** A moment `hours` from now, as a date. */
export const inHours = (hours) => new Date(Date.now() + hours * HOUR);

/** Waits. */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let addresses = randomInt(100_000);

/** An IPv4 address from the block for benchmarks that this run has not used yet. */
export function address() {
  addresses += 1;
  return `198.${18 + ((addresses >> 16) & 1)}.${(addresses >> 8) & 255}.${addresses & 255}`;
}

/** `count` fresh addresses. */
export const manyAddresses = (count) => Array.from({ length: count }, address);

/** The answers of all calls, at most `width` of them under way at a time, in order. */
export async function inParallel(width, calls) {
  const answers = new Array(calls.length);
  let next = 0;
  const lane = async () => {
    while (next < calls.length) {
      const mine = next;
      next += 1;
      answers[mine] = await calls[mine]();
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, calls.length) }, lane));
  return answers;
}

/** How often each value occurs. */
export function tally(values) {
  const counts = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

/** A running stack and the vocabulary of the edge. */
export class Edge {
  /**
   * The stack that all files share, or one of its own for a test that needs other
   * variables or ends things.
   *
   * @param {object} [own] as `startStack` takes it
   */
  static async open(own) {
    const edge = new Edge();
    edge.stack = own ? await startStack(own) : await sharedStack();
    edge.isOwn = Boolean(own);
    await edge.#hire();
    return edge;
  }

  /** An administrator of this file alone, so that nobody shares a rate limit. */
  async #hire() {
    this.userId = randomUUID();
    await this.rows(
      `INSERT INTO users_profile (id, organization_id, email, first_name, last_name, display_name, role, locale)
       VALUES ($1, $2, $3, 'Edge', 'Test', 'Edge Test', 'admin', 'es')`,
      [this.userId, ACME, `edge-${this.userId}@acme.test`],
    );
    this.admin = caller(this.stack, { token: await token(this.stack.vars, this.userId) });
    this.nobody = caller(this.stack);
  }

  /** Ends a stack of its own. */
  async close() {
    if (this.isOwn) await this.stack.stop();
  }

  /** A license key that nobody has. */
  key(product = 'MKT') {
    return licenseKey(this.stack.vars, product);
  }

  /** The rows of a statement, run as the owner of the database. */
  async rows(sql, params = []) {
    return (await this.stack.pg.query(sql, params)).rows;
  }

  /** The first row of a statement. */
  async row(sql, params) {
    return (await this.rows(sql, params))[0];
  }

  /** A dashboard call as the administrator; fails the test unless it answers `status`. */
  async api(method, path, body, status = 200) {
    const answer = await this.tryApi(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer;
  }

  /** A dashboard call, whatever it answers. */
  tryApi(method, path, body) {
    return this.admin(method, path, { body });
  }

  /** Waits until the administrator's own object knows them: what a sign-in leaves behind has been dealt with. */
  async known() {
    await eventuallyHolds(async () => assert.equal((await this.api('GET', '/api/licenses?per_page=1')).counts.do, 1));
  }

  /** A license by SQL: nobody at the edge has heard of it. */
  async license(fields = {}) {
    const { product_code: code = 'MKT', ...columns } = fields;
    const row = {
      id: randomUUID(),
      organization_id: ACME,
      plan_id: PLANS.professional,
      license_key: this.key(code),
      status: 'active',
      starts_at: inHours(-48),
      expires_at: inHours(24 * 365),
      billing_cycle: 'yearly',
      ...columns,
    };
    const names = Object.keys(row);
    await this.rows(
      `INSERT INTO licenses (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
      names.map((name) => row[name]),
    );
    return { id: row.id, key: row.license_key, path: `/api/licenses/${row.id}` };
  }

  /** Licenses by SQL in one statement, for tests that need many. */
  async licenses(count) {
    const made = Array.from({ length: count }, () => ({ id: randomUUID(), key: this.key('MKT') }));
    await this.rows(
      `INSERT INTO licenses (id, organization_id, plan_id, license_key, status, starts_at, expires_at, billing_cycle)
       SELECT (m->>'id')::uuid, $2, $3, m->>'key', 'active', now() - interval '2 days', now() + interval '1 year', 'yearly'
       FROM jsonb_array_elements($1::jsonb) AS m`,
      [JSON.stringify(made), ACME, PLANS.professional],
    );
    return made;
  }

  /** A product by SQL. */
  async product(fields = {}) {
    const row = {
      id: randomUUID(),
      organization_id: ACME,
      code: `T${random8().slice(0, 6)}`,
      name: 'Test product',
      slug: `test-${randomUUID()}`,
      product_type: 'software',
      status: 'published',
      price: 10,
      ...fields,
    };
    const names = Object.keys(row);
    await this.rows(
      `INSERT INTO products (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
      names.map((name) => row[name]),
    );
    return row.id;
  }

  /** Slots of a license that are taken, by SQL. */
  async bind(license, ips) {
    for (const ip of ips) {
      await this.rows(
        'INSERT INTO license_ip_bindings (license_id, organization_id, ip_address) VALUES ($1, $2, $3)',
        [license.id, ACME, ip],
      );
    }
  }

  /**
   * A validation, whatever it answers. `from` is the address of the connection; by
   * default a fresh one, so that the limit per address is nobody's business.
   */
  validate(key, { from = address(), lang, agent, requestId, ip, ...fields } = {}) {
    const body = { license_key: key, ...fields };
    if (ip !== undefined) body.ip_address = ip;
    const headers = { 'cf-connecting-ip': from };
    if (lang) headers['accept-language'] = lang;
    if (agent) headers['user-agent'] = agent;
    if (requestId) headers['x-request-id'] = requestId;
    return this.nobody('POST', '/api/licenses/validate', { body, headers });
  }

  /** The `data` of a validation that must be answered. */
  async verdict(key, options) {
    const answer = await this.validate(key, options);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.success, true);
    return answer.body.data;
  }

  /** The code of a validation that must be answered. */
  async code(key, options) {
    return (await this.verdict(key, options)).code;
  }

  /** The validation log of a license. */
  log(license) {
    return this.rows(
      `SELECT id, ip_binding_id, host(ip_address) AS ip, host(connection_ip) AS connection_ip, is_valid,
         failure_reason, device_info, machine_id, hostname, nonce, user_agent, created_at
       FROM license_validations WHERE license_id = $1 ORDER BY created_at, id`,
      [license.id],
    );
  }

  /** The log once it has `count` rows; a row too many fails, now or a moment later. */
  async wholeLog(license, count, patience) {
    await eventuallyHolds(async () => assert.equal((await this.log(license)).length, count), patience);
    await pause(1500);
    const rows = await this.log(license);
    assert.equal(rows.length, count, 'more rows than validations');
    return rows;
  }

  /** The active bindings of a license in PostgreSQL. */
  bindings(license) {
    return this.rows(
      `SELECT id, text(ip_address) AS network, host(ip_address) AS ip, machine_id, hostname, source, last_seen_at, first_seen_at
       FROM license_ip_bindings WHERE license_id = $1 AND is_active ORDER BY first_seen_at, id`,
      [license.id],
    );
  }

  /** The collisions of a license in PostgreSQL. */
  collisions(license) {
    return this.rows(
      `SELECT id, host(ip_address_a) AS a, host(ip_address_b) AS b, ip_binding_a, ip_binding_b, severity,
         address_count, window_seconds, collision_type, suspended_license, detected_at
       FROM license_collisions WHERE license_id = $1 ORDER BY detected_at, id`,
      [license.id],
    );
  }
}
