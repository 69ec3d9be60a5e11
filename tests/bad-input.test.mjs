// Thousands of damaged requests over all routes: each is refused properly or passes for a reason, and
// what is refused leaves nothing behind.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { fuzz } from '../scripts/fuzz.mjs';
import { caller, good } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, createOrganization, insert, insertLicense } from './support/world.mjs';

const stack = await sharedStack();
let home;
let options;

before(async () => {
  home = await createOrganization(stack);
  // Enough of them that the deletions among the requests leave some to work on.
  const targets = [];
  for (let index = 0; index < 100; index += 1) {
    const license = await insertLicense(stack, home.id, { custom_limits: { max_ips: -1 } });
    const collision = randomUUID();
    await insert(stack, 'license_collisions', {
      id: collision, license_id: license.id, organization_id: home.id, ip_address_a: '192.0.2.3', ip_address_b: '192.0.2.4',
    });
    targets.push({ id: license.id, inner_id: collision, license_key: license.license_key });
  }
  options = {
    url: stack.url,
    headers: [['authorization', `Bearer ${await home.token('admin')}`]],
    targets,
    samples: {
      plan_id: PLANS.free, product_id: home.product.id,
      organization_id: home.id, owner_id: home.users.client, ip_address: '192.0.2.1', allowed_cidrs: ['192.0.2.0/24'],
      starts_at: '2031-01-01', expires_at: '2032-01-01', trial_ends_at: null, created_after: '2020-01-01', created_before: '2040-01-01',
      expires_after: '2020-01-01', expires_before: '2040-01-01', notes: 'some notes', metadata: { some: { thing: [1, 'x'] } },
    },
  };
});

/** How many rows each table holds of our organization. */
async function rowCounts() {
  const { rows } = await stack.pg.query(
    `SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema = 'public' AND column_name = 'organization_id' AND table_type = 'BASE TABLE'`);
  const counts = {};
  for (const { table_name: table } of rows) {
    const found = await stack.pg.query(`SELECT count(*)::int FROM ${table} WHERE organization_id = $1`, [home.id]);
    counts[table] = found.rows[0].count;
  }
  return counts;
}

const noProblems = ({ problems }) => assert.equal(problems.length, 0, JSON.stringify(problems.slice(0, 10), null, 1));

test('1,000 requests that can never be right: refused, and nothing is written', async () => {
  const before = await rowCounts();
  const report = await fuzz({ ...options, requests: 1000, seed: 1, hopelessOnly: true });
  assert.equal(report.sent, 1000);
  noProblems(report);
  assert.deepEqual(await rowCounts(), before);
});

test('2,000 requests damaged in every way: no 5xx, and only what passed is written', async () => {
  const report = await fuzz({ ...options, requests: 2000, seed: 2 });
  noProblems(report);
  assert.ok(report.passed.length > 100 && report.refused.length > 800, JSON.stringify(report.statuses));
  const { rows } = await stack.pg.query('SELECT DISTINCT request_id FROM audit_logs WHERE organization_id = $1 AND user_id IS NOT NULL', [home.id]);
  const passed = new Set(report.passed);
  assert.deepEqual(rows.filter(({ request_id: id }) => !passed.has(id)), []);
});

test('afterwards the worker does its work', async () => {
  const license = good(await home.as.admin('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
  assert.equal(good(await caller(stack)('POST', '/api/licenses/validate', { body: { license_key: license.license_key } })).code, 'VALID');
});
