// Walks every route: who may call it, and what every route does with bad ids, parameters and fields.
// What each route needs is said in routes/<module>.mjs; a new route fails here until it is.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { caller, eventually, good, refused, withoutRequestId } from './support/api.mjs';
import { fingerprints } from './support/fingerprint.mjs';
import { operations } from './support/openapi.mjs';
import { INCLUDED, PERMISSIONS, ROLES, holds, isSuperOnly } from './support/roles.mjs';
import { routes, target, worldOf } from './support/routes.mjs';
import { sharedStack, startStack } from './harness/client.mjs';
import { createOrganization, createSuperAdmin, createUser, signedIn, withApiKey } from './support/world.mjs';

const UNGUESSABLE = ['1', 'null', "' OR 1=1 --", '%00', '\u0000', '../licenses', 'é'.repeat(18), 'x'.repeat(101)];
/** Spellings that are no UUID. */
const notUuids = (id) => [...UNGUESSABLE, `${id}x`, id.replaceAll('-', ''), `{${id}}`, '00000000-0000-0000-0000-00000000000g'];

// npm test runs this file once for each module, on a worker of its own; AI calls need somebody to answer.
const part = process.env.CELAEST_PART;
const stack = part === 'ai-calls' ? await startStack({ ai: { keys: { openai: ['walk-1', 'walk-2'] } } }) : await sharedStack();
if (stack.ai) after(() => stack.stop());
const { ours, theirs, newcomers, fingerprint } = await arrange();
const world = worldOf(stack, ours, theirs);
const superAdmin = await signedIn(stack, await createSuperAdmin(stack));
const keyWithoutScopes = await withApiKey(stack, ours.users.admin, ours.id, { scopes: [] });
const keys = new Map();

/** Three organizations that everybody is signed in to. */
async function arrange() {
  const made = {
    ours: await createOrganization(stack),
    theirs: await createOrganization(stack),
    newcomers: await createOrganization(stack, { roles: ['admin'] }),
  };
  const organizations = Object.values(made);
  await settled(Object.fromEntries(organizations.flatMap(({ users, as }) =>
    Object.entries(users).map(([role, user]) => [user, as[role]]))));
  return { ...made, fingerprint: await fingerprints(stack.pg, organizations.map(({ id }) => id)) };
}

/** Waits until first calls are written down as sign-ins, so that this happens within no test. */
async function settled(calls) {
  const users = Object.keys(calls);
  for (const call of Object.values(calls)) good(await call('GET', '/api/licenses'));
  await eventually(async () => {
    const { rows } = await stack.pg.query('SELECT count(*)::int FROM user_sessions WHERE user_id = ANY ($1)', [users]);
    return rows[0].count >= users.length;
  });
}

/** Somebody new in our organization. */
async function newcomer(role) {
  const id = await createUser(stack, ours.id, role);
  const call = await signedIn(stack, id);
  await settled({ [id]: call });
  return { id, call };
}

/** A key of our administrator that may do everything but this. */
async function keyForAllBut(permission) {
  if (!keys.has(permission)) {
    const scopes = PERMISSIONS.filter((one) => one !== permission && !INCLUDED[one]?.includes(permission));
    keys.set(permission, await withApiKey(stack, ours.users.admin, ours.id, { scopes }));
  }
  return keys.get(permission);
}

/** A test at whose end everything is as it was at its start. */
function unchanged(body) {
  return async () => {
    const untouched = await fingerprint();
    await body();
    assert.deepEqual(await fingerprint(), untouched);
  };
}

/** Whether a route has a body, as the document says: the table must have a good one then. */
const takesBody = (name) => operations.get(name)?.requestBody !== undefined;

/** Whether a route has a parameter that is not in its path. */
const takes = (name, parameter) => operations.get(name)?.parameters?.some((one) => one.name === parameter) ?? false;

/** Asserts that a change left an audit row of the request, written with it; nothing else leaves one. */
async function audited({ method, path, route }, answer) {
  const { rows } = await stack.pg.query(
    'SELECT event FROM audit_logs WHERE request_id = $1', [answer.headers.get('x-request-id')]);
  const changes = method !== 'GET' && !route.open && !route.leavesNoAuditRow;
  assert.equal(rows.length > 0, changes || path.endsWith('/export'), JSON.stringify(rows));
}

/** Asserts that an answer is the promised one. */
function wellDone(route, answer) {
  const data = good(answer, route.status);
  if (route.contentType) assert.ok(answer.headers.get('content-type').startsWith(route.contentType));
  return data;
}

for (const { name, method, path, route, parameters, module } of routes) {
  if (part && part !== module) continue;
  if (route.open) {
    test(`${name} is open`, async () => {
      const args = await target(route, world);
      await unchanged(async () => {
        good(await caller(stack)(method, path, args), route.status);
      })();
    });
    if (parameters.includes('id')) {
      test(`${name}: what does not exist, and what is no id`, async () => {
        const args = await target(route, world);
        const nobody = caller(stack);
        refused(await nobody(method, path, { ...args, id: randomUUID() }), 404, route.errorWhenUnknown ?? 'NOT_FOUND');
        for (const id of notUuids(args.id)) refused(await nobody(method, path, { ...args, id }), 400, 'INVALID_ID');
      });
    }
    if (!takesBody(name)) continue;
    test(`${name} refuses unknown fields and parameters`, unchanged(async () => {
      const nobody = caller(stack);
      const args = await target(route, world);
      refused(await nobody(method, path, { body: { ...args.body, surprise: 1 } }), 400, 'INVALID_BODY');
      refused(await nobody(method, path, { body: args.body, query: { surprise: 1 } }), 400, 'INVALID_QUERY');
    }));
    continue;
  }

  describe(name, () => {
    const isSuper = isSuperOnly(route.permission);
    const isTenants = !isSuper && !route.belongsToNoTenant;
    const notFound = route.errorWhenUnknown ?? 'NOT_FOUND';
    const innerNotFound = route.errorWhenInnerUnknown ?? 'NOT_FOUND';
    const mayDo = route.permission ? ROLES.filter((role) => holds(role, route.permission)) : ROLES;
    const mayNot = ROLES.filter((role) => !mayDo.includes(role));
    // Somebody with the permission: the super administrator sees every tenant, so only where nobody else can.
    const boss = isSuper ? ours.as.super_admin : ours.as.admin;
    const stranger = theirs.as.admin;
    const has = (parameter) => parameters.includes(parameter);
    let args;
    let spare;

    before(async () => {
      const owner = () => (route.permissionForOneself ? world.createUser() : ours.users.client);
      args = await target(route, world, await owner());
      spare = await target(route, world, await owner());
      assert.equal(args.body !== undefined, takesBody(name), 'the table has a body where the document has one');
    });

    test('nobody: 401, whatever else is wrong', unchanged(async () => {
      const nobody = caller(stack);
      refused(await nobody(method, path, args), 401, 'UNAUTHENTICATED');
      const wrong = Object.fromEntries(parameters.map((parameter) => [parameter, 'x']));
      const broken = { ...args, ...wrong, query: { nope: 1 }, ...(args.body && { text: '{' }) };
      refused(await nobody(method, path, broken), 401, 'UNAUTHENTICATED');
    }));

    if (route.permission) {
      test('somebody without the permission: 403', async () => {
        const callers = [keyWithoutScopes, await keyForAllBut(route.permission), ...mayNot.map((role) => ours.as[role])];
        await unchanged(async () => {
          for (const call of callers) {
            const details = refused(await call(method, path, args), 403, 'FORBIDDEN');
            assert.deepEqual(details, { required: route.permission });
          }
        })();
      });
    }

    if (route.permissionForOneself) {
      test('oneself: allowed, but not to a key without the scope', async () => {
        for (const role of ['viewer', 'client']) {
          const self = await newcomer(role);
          const own = await target(route, world, self.id);
          assert.equal(own.id, self.id);
          const scopes = PERMISSIONS.filter((one) => one !== route.permissionForOneself && one !== route.permission);
          const key = await withApiKey(stack, self.id, ours.id, { scopes });
          const details = refused(await key(method, path, own), 403, 'FORBIDDEN');
          assert.deepEqual(details, { required: route.permission });
          wellDone(route, await self.call(method, path, own));
        }
      });
    }

    if (has('id') && isTenants) {
      test("another tenant's: 404 as if it did not exist", unchanged(async () => {
        const foreign = await stranger(method, path, args);
        const missing = await stranger(method, path, { ...args, id: randomUUID() });
        refused(foreign, 404, notFound);
        assert.equal(withoutRequestId(foreign), withoutRequestId(missing));
      }));
    } else if (has('id')) {
      test('what does not exist: 404', unchanged(async () => {
        refused(await boss(method, path, { ...args, id: randomUUID() }), 404, notFound);
      }));
    }

    if (has('id')) {
      test('an id that is no UUID: 400', unchanged(async () => {
        for (const id of notUuids(args.id)) {
          refused(await boss(method, path, { ...args, id }), 400, 'INVALID_ID');
          if (has('inner_id')) refused(await boss(method, path, { ...args, inner_id: id }), 400, 'INVALID_ID');
        }
      }));
    }

    if (has('inner_id')) {
      test('an inner id of another thing: 404', async () => {
        const foreign = await target(route, worldOf(stack, theirs, ours), await createUser(stack, theirs.id, 'viewer'));
        await unchanged(async () => {
          refused(await boss(method, path, { ...args, inner_id: randomUUID() }), 404, innerNotFound);
          refused(await boss(method, path, { ...args, inner_id: foreign.inner_id }), 404, innerNotFound);
          // Where everything is inside the one organization, there is no other thing.
          if (spare.id !== args.id) {
            refused(await boss(method, path, { ...args, id: spare.id }), 404, innerNotFound);
          }
        })();
      });
    }

    for (const name of ['key', 'type'].filter((parameter) => has(parameter) && !route.anyNameIsFine)) {
      test(`a ${name} that does not exist: 404`, unchanged(async () => {
        for (const text of [...UNGUESSABLE, `${args[name]}x`, randomUUID()]) {
          refused(await boss(method, path, { ...args, [name]: text }), 404, notFound);
        }
      }));
    }

    if (route.rowsOfNewTenant !== undefined) {
      const whole = () => ({ ...args, query: { ...args.query, ...(takes(name, 'per_page') && { per_page: 100 }) } });

      test("another tenant's rows are not listed", unchanged(async () => {
        const mine = await boss(method, path, whole());
        wellDone(route, mine);
        const answer = await newcomers.as.admin(method, path, whole());
        wellDone(route, answer);
        for (const id of [ours.id, ...(mine.data ?? []).map((row) => row.id).filter(Boolean)]) {
          assert.ok(!answer.text.includes(id), `${id} is listed`);
        }
        if (typeof route.rowsOfNewTenant === 'number') assert.equal(answer.data.length, route.rowsOfNewTenant);
        if (answer.body?.meta?.total !== undefined) assert.equal(answer.body.meta.total, answer.data.length);
      }));

      if (route.clientSeesOwnOnly) {
        test('a client: only the own ones are listed', async () => {
          const other = await target(route, world, ours.users.viewer);
          const text = JSON.stringify(good(await ours.as.client(method, path, whole())));
          assert.ok(text.includes(args.id) && !text.includes(other.id));
        });
      }
    }

    test('an unknown query parameter: 400', unchanged(async () => {
      refused(await boss(method, path, { ...spare, query: { ...spare.query, surprise: 'x' } }), 400, 'INVALID_QUERY');
    }));

    if (takesBody(name)) {
      test('an unknown field: 400', unchanged(async () => {
        const body = { ...args.body, surprise: 'x' };
        refused(await boss(method, path, { ...args, body }), 400, 'INVALID_BODY');
        refused(await boss(method, path, { ...args, body: [args.body] }), 400, 'INVALID_BODY');
      }));

      test('no object: 400', unchanged(async () => {
        // An array in the place of an object is not its fields in their order.
        for (const text of ['[]', JSON.stringify(Object.values(args.body)), 'null', '"x"', '1']) {
          refused(await boss(method, path, { ...spare, text }), 400, 'INVALID_BODY');
        }
      }));
    }

    if (has('id') && route.clientSeesOwnOnly) {
      test("a client: somebody else's is 404, the own one is not", async () => {
        const other = await target(route, world, ours.users.viewer);
        refused(await ours.as.client(method, path, other), 404, notFound);
        wellDone(route, await ours.as.client(method, path, args));
      });
    }

    if (takes(name, 'Idempotency-Key')) {
      test('the same call again with its key: done once; another call with it: 409', async () => {
        const headers = { 'idempotency-key': randomUUID() };
        const first = await boss(method, path, { ...spare, headers });
        wellDone(route, first);
        await unchanged(async () => {
          const again = await boss(method, path, { ...spare, headers });
          wellDone(route, again);
          assert.deepEqual(again.body, first.body);
          const text = `${JSON.stringify(spare.body ?? {})} `;
          refused(await boss(method, path, { ...spare, text, headers }), 409, 'IDEMPOTENCY_CONFLICT');
        })();
      });
    }

    if (method === 'GET') {
      test('HEAD: the same head, nothing done', unchanged(async () => {
        const answer = await boss('HEAD', path, args);
        assert.equal(answer.status, route.status ?? 200);
        assert.ok(answer.headers.get('content-type')?.startsWith(route.contentType ?? 'application/json'), answer.headers.get('content-type'));
        assert.equal(answer.text, '');
        const { rows } = await stack.pg.query('SELECT FROM audit_logs WHERE request_id = $1', [answer.headers.get('x-request-id')]);
        assert.equal(rows.length, 0);
      }));
    }

    // Last, because it may end the thing: the refusals above were for their own reason.
    if (route.signedIn) {
      test('everybody: the good call', async () => {
        for (const role of ROLES) {
          // Somebody new each time: the call may end the sign-in.
          const somebody = await newcomer(role);
          const answer = await somebody.call(method, path, await target(route, world, somebody.id));
          wellDone(route, answer);
          await audited({ method, path, route }, answer);
        }
      });
    } else {
      test('somebody with the permission: the good call', async () => {
        if (method === 'GET') {
          for (const role of mayDo) wellDone(route, await ours.as[role](method, path, args));
          if (isSuper) wellDone(route, await superAdmin(method, path, args));
        }
        const answer = await boss(method, path, args);
        wellDone(route, answer);
        await audited({ method, path, route }, answer);
      });
    }
  });
}
