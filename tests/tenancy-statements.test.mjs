// The second line of defence under the statements that the worker really sends: each route is called once,
// its statements are taken from the server's log and sent again as that tenant, without the tenant in
// their WHERE and with another tenant's things in their parameters. Nothing of the other may come out, and
// nothing of it may change. The superuser, whom row-level security does not bind, shows that it would.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { after, before, describe, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { allTables, belongings } from './support/fingerprint.mjs';
import { holds, isSuperOnly } from './support/roles.mjs';
import { routes, target, worldOf } from './support/routes.mjs';
import { again, recorder, withOthers, withoutConditions } from './support/statements.mjs';
import { furnishedOrganization } from './support/tenants.mjs';
import { startStack } from './harness/client.mjs';
import { createUser, signedIn } from './support/world.mjs';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const NOT_ALLOWED = '42501';

// What may be looked up before it is known whose rows the caller may see: who is calling. And what is read
// for all tenants alike: the platform's keys of AI providers are for everybody's calls, and no tenant sees a row of
// them; whether there are any that are well is what they learn.
const SYSTEM_READS = [
  'users_profile', 'organizations', 'user_sessions', 'user_api_keys', 'system_config', 'feature_flags', 'ai_models', 'ai_api_pool',
];

// Statements that need no tenant in their WHERE.
const BY_SECRET = [
  // What the edge knows of a license, by its key: whoever holds the key may know, whatever tenant it is of.
  /^WITH wanted AS [^]+JOIN licenses l ON l\.license_key = w\.key\s/,
];

let stack;
let a;
let b;
let log;
let tenantTables;
let ofB;

before(async () => {
  // Its server's log is read.
  stack = await startStack({ ownServer: true, ai: { keys: { openai: ['walk-1', 'walk-2'] } } });
  [a, b] = [await furnishedOrganization(stack), await furnishedOrganization(stack)];
  for (const role of ['admin', 'client']) good(await a.as[role]('GET', '/api/licenses'));
  // Their sign-ins are written behind: not while a route is recorded.
  await eventually(async () => (await stack.pg.query(
    'SELECT FROM user_sessions WHERE user_id = ANY ($1) AND session_token !~ $2', [[a.users.admin, a.users.client], '^session'])).rowCount === 2);
  tenantTables = (await allTables(stack.pg)).filter(({ name, is_tenants: is }) => is || name === 'organizations').map(({ name }) => name);
  ofB = await belongings(stack.pg, b.id);
  log = await recorder(stack);
});

after(async () => {
  await log?.end();
  await stack?.stop();
  await stack?.ai.close();
});

/** Every UUID in the rows of an organization. */
async function uuidsOf({ id }) {
  const found = new Set([id]);
  for (const table of tenantTables) {
    const key = table === 'organizations' ? 'id' : 'organization_id';
    const { rows } = await stack.pg.query(`SELECT to_jsonb(t)::text AS text FROM ${table} t WHERE ${key} = $1`, [id]);
    for (const { text } of rows) for (const uuid of text.match(UUID)) found.add(uuid);
  }
  return found;
}

/** The texts that differ between two things of one shape, one to the other. */
function differences(one, other, found = {}) {
  for (const [key, value] of Object.entries(one ?? {})) {
    const opposite = other?.[key];
    if (typeof value === 'string' && typeof opposite === 'string' && value !== opposite) found[value] = opposite;
    else if (typeof value === 'object') differences(value, opposite, found);
  }
  return found;
}

/** The tables of tenants that a statement reads or changes, other than by adding a row. */
const tablesOf = ({ sql }) => [...sql.matchAll(/\b(?:FROM|JOIN|UPDATE)\s+(\w+)/g)].map(([, table]) => table)
  .filter((table) => tenantTables.includes(table));

/**
 * Calls a route as one of A, and gives the statements of its transactions as A, with what turns A's things in
 * their parameters into things of B: `exchange`.
 */
async function record({ method, path, route }, { role = 'admin', person, owner }) {
  const world = worldOf(stack, a, b);
  const args = await target(route, world, owner ?? (route.permissionForOneself ? await world.createUser() : a.users.client));
  const twin = await target(route, worldOf(stack, b, a), route.permissionForOneself ? await createUser(stack, b.id, 'viewer') : b.users.client);
  const known = new Set([...await uuidsOf(a), ...await uuidsOf(b)]);
  const call = person ? await signedIn(stack, person) : a.as[role];
  const { result, transactions } = await log.recorded(() => call(method, path, args));
  good(result, route.status);
  const exchange = differences({ users: a.users, organization: a.id }, { users: b.users, organization: b.id });
  // What belongs to no tenant is nobody's to be exchanged.
  if (!route.belongsToNoTenant) differences(args, twin, exchange);
  if (person) exchange[person] = b.users.admin;
  const own = transactions.filter(({ settings: [access, organization] }) => access === 'tenant' && organization === a.id);
  // Whatever was made up on the way is made up anew.
  for (const { params } of own.flatMap(({ statements }) => statements)) {
    for (const uuid of params.join(' ').match(UUID) ?? []) if (!known.has(uuid)) exchange[uuid] ??= randomUUID();
  }
  return { args, transactions, own, exchange };
}

/** The parameters that make a transaction's statements this caller's. */
const scopeOf = ({ settings: [, organization, owner] }) => [organization, owner].filter(Boolean);

/** A statement's answer as JSON; it must have one. */
async function answer(tx, statement) {
  const { value, error } = await tx.run(statement);
  assert.ifError(error);
  return value;
}

/** The same, of a statement that may also be refused, as the writing of an audit row for another. */
async function outcome(tx, statement) {
  const { value, error } = await tx.run(statement);
  assert.ok(!error || error.code === NOT_ALLOWED, error);
  return error ? 'refused' : value;
}

const parsed = (text) => (text === null ? null : JSON.parse(text));
const hidden = (text, ids) => Object.values(ids).reduce((all, id) => all?.replaceAll(id, '…') ?? null, text);

/** Every statement says itself whose rows it is about. */
function saysWhose({ own }) {
  for (const transaction of own) {
    for (const statement of transaction.statements.filter((one) => tablesOf(one).length > 0)) {
      if (BY_SECRET.some((pattern) => pattern.test(statement.sql))) continue;
      assert.ok(withoutConditions(statement, scopeOf(transaction)), `no tenant in the WHERE of: ${statement.sql}`);
    }
  }
}

const callable = routes.filter(({ route }) => !route.open && !isSuperOnly(route.permission));

describe('reading', () => {
  for (const one of callable.filter(({ method }) => method === 'GET')) {
    const { name, route } = one;

    test(name, async () => {
      const recorded = await record(one, {});
      for (const { settings: [access], statements } of recorded.transactions) {
        const tables = access === 'system' ? statements.flatMap(tablesOf) : [];
        assert.deepEqual(tables.filter((table) => !SYSTEM_READS.includes(table)), [], 'read past the tenant');
      }
      saysWhose(recorded);
      const ours = await uuidsOf(a);
      const foreign = new Set([...await uuidsOf(b)].filter((uuid) => !ours.has(uuid)));
      let exposed = false;
      await again(stack, async (tx) => {
        for (const { settings, statements } of recorded.own) {
          for (const statement of statements) {
            const open = withoutConditions(statement, scopeOf({ settings })) ?? statement;
            const nowhere = Object.fromEntries(Object.keys(recorded.exchange).map((from) => [from, randomUUID()]));
            await tx.as(settings);
            const rightful = await answer(tx, statement);
            const unguarded = await answer(tx, open);
            assert.deepEqual(parsed(unguarded), parsed(rightful), `without its WHERE: ${statement.sql}`);
            const astray = await outcome(tx, withOthers(open, recorded.exchange));
            const lost = await outcome(tx, withOthers(open, nowhere));
            assert.equal(hidden(astray, recorded.exchange), hidden(lost, nowhere), `for things of another: ${statement.sql}`);
            for (const text of [rightful, unguarded]) {
              assert.deepEqual((text?.match(UUID) ?? []).filter((uuid) => foreign.has(uuid)), [], statement.sql);
            }
            await tx.as(settings, { superuser: true });
            exposed ||= await answer(tx, open) !== unguarded || await outcome(tx, withOthers(open, recorded.exchange)) !== astray;
          }
        }
      });
      const reads = recorded.own.some(({ statements }) => statements.some((statement) => tablesOf(statement).length > 0));
      assert.equal(exposed, reads, 'row-level security makes a difference');
    });

    if (route.signedIn || holds('client', route.permissionForOneself ?? route.permission)) {
      test(`${name} by a client`, async () => {
        const { own } = await record(one, { role: 'client', owner: a.users.client });
        await again(stack, async (tx) => {
          for (const { settings, statements } of own) {
            assert.equal(settings[2], a.users.client);
            await tx.as(settings);
            for (const statement of statements) {
              const open = withoutConditions(statement, scopeOf({ settings })) ?? statement;
              assert.deepEqual(parsed(await answer(tx, open)), parsed(await answer(tx, statement)), statement.sql);
            }
          }
        });
      });
    }
  }
});

describe('writing', () => {
  for (const one of callable.filter(({ method }) => method !== 'GET')) {
    test(one.name, async () => {
      // Somebody new where the call may end the sign-in.
      const person = one.route.signedIn ? await createUser(stack, a.id, 'developer') : undefined;
      const recorded = await record(one, { person });
      saysWhose(recorded);

      /** What becomes of B, and of each statement, when everything is said of B's things. */
      const astray = (options) => again(stack, async (tx) => {
        const outcomes = [];
        for (const { settings, statements } of recorded.own) {
          await tx.as(settings, options);
          for (const statement of statements) {
            const open = withoutConditions(statement, scopeOf({ settings })) ?? statement;
            for (const way of [withOthers(open, recorded.exchange), withOthers(statement, recorded.exchange)]) {
              outcomes.push((await tx.run(way)).error?.code);
            }
          }
        }
        await tx.as([], { superuser: true });
        return { outcomes, state: await ofB(tx) };
      });

      const untouched = await ofB(stack.pg);
      const bound = await astray();
      // Their tasks go on meanwhile.
      assert.deepEqual(bound.state, isDeepStrictEqual(bound.state, untouched) ? untouched : await ofB(stack.pg));
      const free = await astray({ superuser: true });
      // What is refused to the tenant and not to the superuser was refused for being another's.
      const refused = bound.outcomes.some((code, index) => code === NOT_ALLOWED && free.outcomes[index] !== NOT_ALLOWED);
      const changed = JSON.stringify(free.state) !== JSON.stringify(untouched);
      // Where money is written down the tenant's own transaction only looks.
      const looks = recorded.own.every(({ statements }) => statements.every(({ sql }) => !/\b(?:INSERT|UPDATE|DELETE)\b/.test(sql.replaceAll('FOR NO KEY UPDATE', ''))));
      assert.ok(refused || changed || looks, 'row-level security makes a difference');
    });
  }
});
