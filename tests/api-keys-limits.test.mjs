// How often an API key works: as a person does unless somebody may say more, up to what the plan allows; and how its
// calls are counted.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, good, refused, refusedFields } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization, insert, insertLicense, withApiKey } from './support/world.mjs';
import { randomUUID } from 'node:crypto';

let stack;
let home;

before(async () => {
  stack = await startStack({ vars: { RATE_LIMIT_PER_MIN: '500' } });
  home = await createOrganization(stack);
});
after(() => stack?.stop());

const make = (by, id, rate) =>
  by('POST', '/api/users/{id}/api-keys', { id, body: { name: 'CI', scopes: ['account:read'], rate_limit_rpm: rate } });

describe('more than a person', () => {
  test('takes the permission for the keys of others', async () => {
    for (const role of ['viewer', 'developer', 'manager']) {
      good(await make(home.as[role], home.users[role], 500), 201);
      const { missing } = refused(await make(home.as[role], home.users[role], 501), 403, 'PERMISSION_NOT_HELD');
      assert.deepEqual(missing, ['api_keys:write']);
    }
    assert.equal(good(await make(home.as.admin, home.users.viewer, 1000), 201).rate_limit_rpm, 1000);
  });

  test('goes up to what the settings say, or the plan', async () => {
    refusedFields(await make(home.as.admin, home.users.admin, 1001), 'rate_limit_rpm');
    good(await home.as.super_admin('PATCH', '/api/settings', { body: { 'api_keys.max_rate_per_min': 2000 } }));
    good(await make(home.as.admin, home.users.admin, 2000), 201);
    refusedFields(await make(home.as.admin, home.users.admin, 2001), 'rate_limit_rpm');
    const plan = randomUUID();
    await insert(stack, 'subscription_plans', { id: plan, code: 'rates', name: 'Rates', limits: { max_api_key_rate_per_min: 600 } });
    const license = await insertLicense(stack, home.id, { plan_id: plan });
    good(await make(home.as.admin, home.users.admin, 600), 201);
    refusedFields(await make(home.as.admin, home.users.admin, 601), 'rate_limit_rpm');
    await stack.pg.query(`UPDATE subscription_plans SET limits = '{"max_api_key_rate_per_min": -1}' WHERE id = $1`, [plan]);
    good(await make(home.as.admin, home.users.admin, 100_000), 201);
    await stack.pg.query(`UPDATE licenses SET status = 'suspended' WHERE id = $1`, [license.id]);
    refusedFields(await make(home.as.admin, home.users.admin, 2001), 'rate_limit_rpm');
  });
});

test("a key's calls are added to the organization's month, once", async () => {
  const place = await createOrganization(stack, { roles: ['admin', 'client'] });
  const keys = [await withApiKey(stack, place.users.admin, place.id), await withApiKey(stack, place.users.client, place.id)];
  for (let use = 0; use < 4; use += 1) for (const key of keys) good(await key('GET', '/api/licenses'));
  const calls = () => place.as.admin('GET', '/api/organizations/{id}/subscription', { id: place.id }).then((answer) => good(answer).usage.api_calls);
  await eventually(async () => (await calls()) === 8, 30_000, 500);
  for (let use = 0; use < 3; use += 1) good(await keys[0]('GET', '/api/licenses'));
  await eventually(async () => (await calls()) === 11, 30_000, 500);
  const { rows } = await stack.pg.query('SELECT period::text, api_calls::int FROM organization_usage WHERE organization_id = $1', [place.id]);
  assert.deepEqual(rows, [{ period: `${new Date().toISOString().slice(0, 7)}-01`, api_calls: 11 }]);
});
