// Walks every route: who may call it, and what every route does with bad ids, parameters and fields.
// A new route fails here until the table below says what it needs.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, good, refused, withoutRequestId } from './support/api.mjs';
import { operations } from './support/openapi.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, createOrganization, insert, insertLicense, withApiKey } from './support/world.mjs';

// open       anybody may call it
// permission what the caller must be allowed to do
// status     of the minimal good call
// body       its body, when the route takes one
// query      the parameters that it must have
// list       lists rows of the caller's organization
// prepare    makes what the good call refers to, for a license
const ROUTES = {
  'GET /health': { open: true },
  'GET /health/live': { open: true },
  'GET /health/ready': { open: true },
  'POST /api/licenses/validate': { open: true, body: { license_key: 'CELAEST-GEN-00000000-0000' } },
  'POST /api/licenses/batch-validate': { open: true, body: { items: [{ license_key: 'x' }] } },

  'GET /api/licenses': { permission: 'licenses:read', list: true },
  'POST /api/licenses': { permission: 'licenses:write', status: 201, body: { plan_id: PLANS.free } },
  'GET /api/licenses/{id}': { permission: 'licenses:read' },
  'PATCH /api/licenses/{id}': { permission: 'licenses:write', body: { notes: 'changed' } },
  'DELETE /api/licenses/{id}': { permission: 'licenses:delete', status: 204 },
  'POST /api/licenses/{id}/bind-ip': { permission: 'licenses:write', status: 201, body: { ip_address: '192.0.2.1' } },
  'DELETE /api/licenses/{id}/unbind-ip': {
    permission: 'licenses:write', status: 204, query: { ip_address: '192.0.2.2' }, prepare: bindAddress,
  },
  'GET /api/licenses/{id}/ips': { permission: 'licenses:read' },
  'GET /api/licenses/{id}/collisions': { permission: 'licenses:read' },
  'POST /api/licenses/{id}/collisions/{inner_id}/resolve': {
    permission: 'licenses:write', body: {}, prepare: insertCollision,
  },
  'GET /api/licenses/{id}/validations': { permission: 'licenses:read' },
  'POST /api/licenses/{id}/renew': { permission: 'licenses:write', body: { months: 1 } },
  'POST /api/licenses/{id}/revoke': { permission: 'licenses:revoke', body: {} },
  'POST /api/licenses/{id}/reactivate': { permission: 'licenses:revoke', body: {}, license: { status: 'suspended' } },
  'GET /api/licenses/{id}/usage': { permission: 'licenses:read' },
};

// Roles that hold no permission but reading.
const READERS = ['manager', 'operator', 'client', 'viewer'];

const stack = await sharedStack();
let ours;
let theirs;
let keyWithoutScopes;
let keyThatReads;
let otherLicense;

before(async () => {
  ours = await createOrganization(stack);
  theirs = await createOrganization(stack, { roles: ['admin'] });
  otherLicense = await insertLicense(stack, ours.id);
  keyWithoutScopes = await withApiKey(stack, ours.users.admin, ours.id, { scopes: [] });
  keyThatReads = await withApiKey(stack, ours.users.admin, ours.id, { scopes: ['licenses:read'] });
});

async function bindAddress(license) {
  await insert(stack, 'license_ip_bindings', {
    license_id: license.id, organization_id: license.organization_id, ip_address: '192.0.2.2',
  });
}

async function insertCollision(license) {
  const id = randomUUID();
  await insert(stack, 'license_collisions', {
    id, license_id: license.id, organization_id: license.organization_id,
    ip_address_a: '192.0.2.3', ip_address_b: '192.0.2.4',
  });
  return { inner_id: id };
}

/** A license of ours and the arguments of a good call for it. */
async function target(route, path) {
  if (!path.includes('{id}')) return { args: { query: route.query, body: route.body } };
  const license = await insertLicense(stack, ours.id, { owner_id: ours.users.client, ...route.license });
  const more = await route.prepare?.(license);
  return { license, args: { id: license.id, query: route.query, body: route.body, ...more } };
}

/** Everything of our organization that a refused call could have changed. */
async function fingerprint() {
  const { rows } = await stack.pg.query(
    `SELECT (SELECT md5(string_agg(l::text, '|' ORDER BY id)) FROM licenses l WHERE organization_id = $1) AS licenses,
       (SELECT md5(string_agg(b::text, '|' ORDER BY id)) FROM license_ip_bindings b WHERE organization_id = $1) AS bindings,
       (SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM license_collisions c WHERE organization_id = $1) AS collisions,
       (SELECT count(*) FROM audit_logs WHERE organization_id = ANY ($2)) AS audited,
       (SELECT count(*) FROM outbox_messages WHERE organization_id = ANY ($2)) AS published`,
    [ours.id, [ours.id, theirs.id]]);
  return rows[0];
}

/** A test at whose end everything is as it was at its start. */
function unchanged(body) {
  return async () => {
    const untouched = await fingerprint();
    await body();
    assert.deepEqual(await fingerprint(), untouched);
  };
}

test('the table names every route of the document, and no other', () => {
  assert.deepEqual(Object.keys(ROUTES).sort(), [...operations.keys()].sort());
});

test('the document says who may call what', () => {
  for (const [name, route] of Object.entries(ROUTES)) {
    const operation = operations.get(name);
    assert.equal(operation['x-permission'], route.permission, name);
    assert.equal(operation.security === undefined, route.open === true, name);
  }
});

for (const [name, route] of Object.entries(ROUTES)) {
  const [method, path] = name.split(' ');
  if (route.open) {
    test(`${name} is open`, unchanged(async () => {
      good(await caller(stack)(method, path, { body: route.body }));
    }));
    continue;
  }

  describe(name, () => {
    let args;
    let license;
    let spare;

    before(async () => {
      ({ args, license } = await target(route, path));
      ({ args: spare } = await target(route, path));
    });

    test('nobody: 401, whatever else is wrong', unchanged(async () => {
      const nobody = caller(stack);
      refused(await nobody(method, path, args), 401, 'UNAUTHENTICATED');
      const broken = { ...args, id: 'x', inner_id: 'x', query: { nope: 1 }, ...(route.body && { text: '{' }) };
      refused(await nobody(method, path, broken), 401, 'UNAUTHENTICATED');
    }));

    test('somebody without the permission: 403', unchanged(async () => {
      const callers = route.permission === 'licenses:read'
        ? [keyWithoutScopes]
        : [keyWithoutScopes, keyThatReads, ...READERS.map((role) => ours.as[role])];
      for (const call of callers) {
        const details = refused(await call(method, path, args), 403, 'FORBIDDEN');
        assert.deepEqual(details, { required: route.permission });
      }
    }));

    if (path.includes('{id}')) {
      test("another tenant's: 404 as if it did not exist", unchanged(async () => {
        const foreign = await theirs.as.admin(method, path, args);
        const missing = await theirs.as.admin(method, path, { ...args, id: randomUUID() });
        refused(foreign, 404, 'LICENSE_NOT_FOUND');
        assert.equal(withoutRequestId(foreign), withoutRequestId(missing));
      }));

      test('an id that is no UUID: 400', unchanged(async () => {
        const wrong = ['1', 'null', `${license.id}x`, license.id.replaceAll('-', ''), `{${license.id}}`, "' OR 1=1 --",
          '00000000-0000-0000-0000-00000000000g', '%00', '\u0000', '../licenses', 'é'.repeat(18)];
        for (const id of wrong) {
          refused(await ours.as.admin(method, path, { ...args, id }), 400, 'INVALID_ID');
          if (path.includes('{inner_id}')) {
            refused(await ours.as.admin(method, path, { ...args, inner_id: id }), 400, 'INVALID_ID');
          }
        }
      }));
    }

    if (path.includes('{inner_id}')) {
      test('an inner id of another license: 404', unchanged(async () => {
        refused(await ours.as.admin(method, path, { ...args, inner_id: randomUUID() }), 404, 'NOT_FOUND');
        refused(await ours.as.admin(method, path, { ...args, id: otherLicense.id }), 404, 'NOT_FOUND');
      }));
    }

    if (route.list) {
      test("another tenant's rows are not listed", unchanged(async () => {
        const answer = await theirs.as.admin(method, path, args);
        assert.deepEqual(good(answer), []);
        assert.equal(answer.body.meta.total, 0);
      }));
    }

    test('an unknown query parameter: 400', unchanged(async () => {
      refused(await ours.as.admin(method, path, { ...spare, query: { ...route.query, surprise: 'x' } }), 400, 'INVALID_QUERY');
    }));

    if (route.body) {
      test('an unknown field: 400', unchanged(async () => {
        const body = { ...route.body, surprise: 'x' };
        refused(await ours.as.admin(method, path, { ...args, body }), 400, 'INVALID_BODY');
        refused(await ours.as.admin(method, path, { ...args, body: [route.body] }), 400, 'INVALID_BODY');
      }));

      test('no object: 400', unchanged(async () => {
        // An array in the place of an object is not its fields in their order.
        for (const text of ['[]', JSON.stringify(Object.values(route.body)), 'null', '"x"', '1']) {
          refused(await ours.as.admin(method, path, { ...spare, text }), 400, 'INVALID_BODY');
        }
      }));
    }

    if (path.includes('{id}') && route.permission === 'licenses:read') {
      test("a client: somebody else's license is 404, the own one is not", async () => {
        const other = await insertLicense(stack, ours.id, { owner_id: ours.users.viewer });
        refused(await ours.as.client(method, path, { ...args, id: other.id }), 404, 'LICENSE_NOT_FOUND');
        good(await ours.as.client(method, path, args));
      });
    }

    // Last, because it may end the license: the refusals above were for their own reason.
    test('somebody with the permission: the good call', async () => {
      good(await ours.as.admin(method, path, args), route.status ?? 200);
    });
  });
}

test('open routes also refuse unknown fields and parameters', async () => {
  const nobody = caller(stack);
  for (const [name, route] of Object.entries(ROUTES).filter(([, { open, body }]) => open && body)) {
    const [method, path] = name.split(' ');
    refused(await nobody(method, path, { body: { ...route.body, surprise: 1 } }), 400, 'INVALID_BODY');
    refused(await nobody(method, path, { body: route.body, query: { surprise: 1 } }), 400, 'INVALID_QUERY');
  }
});
