// Who sees which numbers: every report as every role, with the same facts in two organizations.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { Facts, day } from './support/facts.mjs';
import { sharedStack } from './harness/client.mjs';
import { createOrganization, createSuperAdmin, createUser, insert, insertLicense, signedIn, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
/** A day, and its noon. */
const asked = { from: day(45), to: day(44), granularity: 'day' };
const NOON = `${day(45)}T12:00:00Z`;

const homes = [await createOrganization(stack), await createOrganization(stack)];

/** A number of each report: how much one organization has of it, and its client alone. */
const REPORTS = {
  dashboard: { metric: 'ai_requests', whole: 3, own: 1 },
  licenses: { metric: 'new', whole: 2, own: 1 },
  'licenses/validations': { metric: 'validations', whole: 2, own: 1 },
  sales: { metric: 'revenue', whole: 70 },
  'sales/by-product': { metric: 'revenue', whole: 70 },
  'sales/by-period': { metric: 'orders', whole: 2 },
  'ai-usage': { metric: 'requests', whole: 3, own: 1 },
  'ai-usage/by-provider': { metric: 'requests', whole: 3, own: 1 },
  'ai-usage/costs': { metric: 'cost_usd', whole: 0.06, own: 0.02 },
  roi: { metric: 'tasks_completed', whole: 3 },
  'roi/by-product': { metric: 'tasks_completed', whole: 3 },
  users: { metric: 'new_users', whole: 1 },
  'users/active': { metric: 'active_users', whole: 2 },
};
/** What others have of that, whoever came with the database. */
const others = {};
const WHOLE = ['admin', 'manager'];
const OWN = ['developer', 'operator', 'client', 'viewer'];

const ask = (call, path, more) => call('GET', `/api/analytics/${path}`, { query: { ...asked, ...more } });
const value = (answer, metric) => good(answer).totals[metric];

before(async () => {
  const [{ as: { super_admin: boss } }] = homes;
  for (const [path, { metric }] of Object.entries(REPORTS)) others[path] = value(await ask(boss, path), metric);
  for (const home of homes) {
    const { client, admin } = home.users;
    const facts = new Facts(stack, home);
    await facts.sale(NOON, 50);
    await facts.sale(NOON, 20);
    const licenses = [];
    for (const owner_id of [client, admin]) licenses.push(await insertLicense(stack, home.id, { owner_id, product_id: home.product.id, created_at: NOON }));
    for (const { id } of licenses) {
      await insert(stack, 'license_validations', { license_id: id, organization_id: home.id, ip_address: '192.0.2.1', is_valid: true, created_at: NOON });
    }
    for (const user_id of [client, admin, admin]) await facts.task(NOON, { user_id, license_id: licenses[0].id });
    await createUser(stack, home.id, 'viewer', { created_at: NOON });
  }
});

for (const added of [false, true]) {
  describe(added ? 'when it is added up' : 'before it is added up', () => {
    before(async () => {
      if (added) await stack.pg.query('SELECT analytics_aggregate(100000)');
    });

    for (const [path, { metric, whole, own }] of Object.entries(REPORTS)) {
      test(path, async () => {
        const [home, other] = homes;
        for (const role of WHOLE) {
          const report = good(await ask(home.as[role], path));
          assert.deepEqual([report.totals[metric], report.filters.organization_id, report.filters.user_id], [whole, home.id, null], role);
        }
        for (const role of OWN) {
          const answer = await ask(home.as[role], path);
          if (own === undefined) {
            assert.equal(refused(answer, 403, 'FORBIDDEN').required, 'analytics:read', role);
            continue;
          }
          const { totals, filters } = good(answer);
          assert.deepEqual([totals[metric], filters.user_id], [role === 'client' ? own : 0, home.users[role]], role);
        }
        for (const boss of [home.as.super_admin, await signedIn(stack, await createSuperAdmin(stack))]) {
          const report = good(await ask(boss, path));
          assert.deepEqual([report.totals[metric], report.filters.organization_id], [others[path] + 2 * whole, null]);
          assert.equal(value(await ask(boss, path, { organization_id: other.id }), metric), whole);
        }
      });
    }
  });
}

test('export: each report to whom it is shown', async () => {
  const [home] = homes;
  const total = async (call, report, metric) => {
    const answer = await call('GET', '/api/analytics/export', { query: { ...asked, report, metric, format: 'jsonl' } });
    if (answer.status !== 200) return refused(answer, 403, 'FORBIDDEN').required;
    return answer.text.trimEnd().split('\n').map((line) => JSON.parse(line)).find(({ section }) => section === 'total')[metric];
  };
  for (const [path, { metric, whole, own }] of Object.entries(REPORTS)) {
    const { report } = good(await ask(home.as.admin, path));
    assert.equal(await total(home.as.manager, report, metric), whole, report);
    assert.equal(await total(home.as.super_admin, report, metric), others[path] + 2 * whole, report);
    assert.equal(await total(home.as.client, report, metric), own ?? 'analytics:read', report);
  }
});

test('a key needs no second scope to see what is part of the first', async () => {
  const [home] = homes;
  const key = await withApiKey(stack, home.users.manager, home.id, { scopes: ['analytics:read'] });
  for (const [path, { metric, whole }] of Object.entries(REPORTS)) assert.equal(value(await ask(key, path), metric), whole, path);
  // A client's own key names what the client does not have.
  const theirs = await withApiKey(stack, home.users.client, home.id, { scopes: ['analytics:read'] });
  assert.equal(value(await ask(theirs, 'ai-usage'), 'requests'), 1);
  refused(await ask(theirs, 'sales'), 403, 'FORBIDDEN');
});
