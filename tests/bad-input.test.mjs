// Thousands of damaged requests over all routes: each is refused properly or passes for a reason, and
// what is refused leaves nothing behind.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fuzz } from '../scripts/fuzz.mjs';
import { caller, eventually, good } from './support/api.mjs';
import { fingerprints } from './support/fingerprint.mjs';
import { isSuperOnly } from './support/roles.mjs';
import { routes, target, worldOf } from './support/routes.mjs';
import { startStack } from './harness/client.mjs';
import { PLANS, createOrganization, insertLicense } from './support/world.mjs';

// Enough of them that the deletions among the requests leave some to work on.
const THINGS = 8;

// What would get in the way of the other requests when it passes, or fails for want of a provider.
const ONLY_HOPELESS = [
  'PATCH /api/settings', 'POST /api/auth/refresh',
  'POST /api/ai/chat', 'POST /api/ai/completions', 'POST /api/v1/ai/process', 'POST /v1/chat/completions',
];

// What is wrong with one item of a batch is no refusal of the others, which are validated and logged.
const BY_ITEM = ['POST /api/licenses/batch-validate'];

let stack;
let home;
let options;
let fingerprint;

before(async () => {
  // Of its own: some of the requests change what holds for all tenants.
  stack = await startStack();
  home = await createOrganization(stack);
  const world = worldOf(stack, home, home);
  const targets = new Map();
  for (const { name, route } of routes) {
    const made = [];
    while (made.length < THINGS) made.push(await target(route, world, await world.createUser()));
    targets.set(name, made);
  }
  const licenses = [];
  while (licenses.length < THINGS) licenses.push(await insertLicense(stack, home.id, { custom_limits: { max_ips: -1 } }));
  for (const name of ['POST /api/licenses/validate', 'POST /api/licenses/batch-validate']) targets.set(name, licenses);

  const signIns = { admin: await home.token('admin'), super_admin: await home.token('super_admin'), viewer: await home.token('viewer') };
  for (const token of Object.values(signIns)) good(await caller(stack, { token })('GET', '/api/licenses'));
  // Sign-ins are written behind.
  await eventually(async () => (await stack.pg.query('SELECT FROM user_sessions WHERE organization_id = $1 AND user_agent IS NOT NULL', [home.id])).rowCount === 3);
  // So is the log of validations: what was made above is written when the queue has delivered.
  await setTimeout(5000);
  fingerprint = await fingerprints(stack.pg, [home.id]);

  const permissions = new Map(routes.map(({ name, route }) => [name, route.permission]));
  const who = (name) => {
    // Somebody else, who may be signed out by it, or gone.
    if (['POST /api/auth/logout', 'POST /api/users/me/leave'].includes(name)) return 'viewer';
    return isSuperOnly(permissions.get(name)) ? 'super_admin' : 'admin';
  };
  options = {
    url: stack.url,
    headers: (name) => [['authorization', `Bearer ${signIns[who(name)]}`]],
    targets: (name) => targets.get(name),
    anyName: routes.filter(({ route }) => route.anyNameIsFine).map(({ name }) => name),
    samples: {
      plan_id: PLANS.free, product_id: home.product.id,
      organization_id: home.id, owner_id: home.users.client, ip_address: '192.0.2.1', allowed_cidrs: ['192.0.2.0/24'],
      starts_at: '2031-01-01', expires_at: '2032-01-01', trial_ends_at: null, created_after: '2020-01-01', created_before: '2040-01-01',
      expires_after: '2020-01-01', expires_before: '2040-01-01', notes: 'some notes', metadata: { some: { thing: [1, 'x'] } },
    },
  };
});

after(() => stack?.stop());

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

// npm test runs this file once for each kind of requests, on a worker of its own.
const part = process.env.CELAEST_PART;
const testOf = (kind) => (part && part !== kind ? () => {} : test);

testOf('hopeless')('1,500 requests that can never be right: refused, and nothing is written', async () => {
  const before = [await rowCounts(), await fingerprint()];
  const report = await fuzz({ ...options, requests: 1500, seed: 1, hopelessOnly: true, except: BY_ITEM });
  assert.equal(report.sent, 1500);
  noProblems(report);
  assert.deepEqual([await rowCounts(), await fingerprint()], before);
});

testOf('damaged')('3,000 requests damaged in every way: no 5xx, and only what passed is written', async () => {
  const { rows: [{ last }] } = await stack.pg.query('SELECT coalesce(max(sequence), 0) AS last FROM audit_logs');
  const report = await fuzz({ ...options, requests: 3000, seed: 2, except: ONLY_HOPELESS, concurrency: 8 });
  noProblems(report);
  assert.ok(report.passed.length > 150 && report.refused.length > 1200, JSON.stringify(report.statuses));
  const { rows } = await stack.pg.query(
    'SELECT DISTINCT request_id FROM audit_logs WHERE organization_id = $1 AND user_id IS NOT NULL AND sequence > $2', [home.id, last]);
  const passed = new Set(report.passed);
  assert.deepEqual(rows.filter(({ request_id: id }) => !passed.has(id)), []);
});

test('afterwards the worker does its work', async () => {
  const license = good(await home.as.admin('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
  assert.equal(good(await caller(stack)('POST', '/api/licenses/validate', { body: { license_key: license.license_key } })).code, 'VALID');
});
