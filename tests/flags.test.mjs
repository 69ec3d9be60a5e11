// Feature flags: who gets what and why, and how they are kept.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { counts, good, refused, refusedFields } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { murmur3, place } from './support/rollout.mjs';
import { auditOf, createOrganization, createUser, insert } from './support/world.mjs';

const FLAGS = '/api/feature-flags';
const FLAG = '/api/feature-flags/{key}';

// A worker of its own: flags are everybody's.
let stack;
let home;
let other;
let root;
before(async () => {
  stack = await startStack({ vars: { APP_ENV: 'staging' } });
  home = await createOrganization(stack);
  other = await createOrganization(stack, { roles: ['admin', 'viewer'] });
  root = home.as.super_admin;
});
after(() => stack?.stop());

const fresh = () => `test.${randomUUID()}`;

/** Makes a flag that is on, through the API. */
async function flag(more = {}) {
  return good(await root('POST', FLAGS, { body: { flag_key: fresh(), name: 'Test', is_enabled: true, ...more } }), 201);
}

const change = (key, body) => root('PATCH', FLAG, { key, body });
const toggle = (key, body) => root('POST', `${FLAG}/toggle`, { key, body });

/** `[value, reason]` of a flag, for the caller or whoever the query names. */
async function value(key, as = home.as.viewer, query = undefined) {
  const { value: on, reason } = good(await as('GET', `${FLAG}/evaluate`, { key, query }));
  return [on, reason];
}

describe('evaluation', () => {
  test('of flags with long lists', async () => {
    const others = Array.from({ length: 1000 }, () => randomUUID());
    const { users: { viewer: me } } = home;
    // As many as the API takes, in 600 flags.
    await stack.pg.query(`
      INSERT INTO feature_flags (flag_key, name, is_enabled, target_type, target_users, target_organizations, overrides)
      SELECT 'long.' || n, 'Long', true, CASE WHEN n % 2 = 0 THEN 'users' ELSE 'orgs' END,
        $1::uuid[] || CASE WHEN n = 2 THEN ARRAY[$2::uuid] ELSE '{}' END,
        $1::uuid[] || CASE WHEN n = 3 THEN ARRAY[$3::uuid] ELSE '{}' END,
        jsonb_build_object('users', o.map || CASE WHEN n = 4 THEN jsonb_build_object($2::text, true) ELSE '{}' END,
          'organizations', o.map || CASE WHEN n = 5 THEN jsonb_build_object($3::text, false) ELSE '{}' END)
      FROM generate_series(1, 600) AS n, (SELECT jsonb_object_agg(id, true) AS map FROM unnest($1::uuid[]) AS id) AS o`,
    [others, me, home.id]);
    const values = good(await home.as.viewer('GET', `${FLAGS}/evaluate`));
    const long = (n) => [values[`long.${n}`].value, values[`long.${n}`].reason];
    assert.deepEqual([1, 2, 3, 4, 5, 6].map(long), [
      [false, 'not_targeted'], [true, 'user_target'], [true, 'organization_target'], [true, 'user_override'],
      [false, 'organization_override'], [false, 'not_targeted'],
    ]);
    await stack.pg.query("DELETE FROM feature_flags WHERE flag_key LIKE 'long.%'");
  });

  test('the reference used below is Unleash\'s', () => {
    assert.equal(murmur3('The quick brown fox jumps over the lazy dog'), 0x2e4ff723);
    assert.equal(murmur3('aaa', 0x9747b28c), 0x283e0130);
    assert.equal(place('gr1', '123'), 73);
    assert.equal(place('groupX', '999'), 25);
  });

  test('what is first in the order decides', async () => {
    const { flag_key: key } = await flag();
    assert.deepEqual(await value(key), [true, 'all']);
    const overrides = { users: { [home.users.viewer]: false }, organizations: { [home.id]: true, [other.id]: false } };
    good(await change(key, { overrides }));
    assert.deepEqual(await value(key), [false, 'user_override']);
    assert.deepEqual(await value(key, home.as.manager), [true, 'organization_override']);
    assert.deepEqual(await value(key, other.as.viewer), [false, 'organization_override']);
    good(await change(key, { environments: ['production', 'development'] }));
    for (const as of [home.as.viewer, home.as.manager]) assert.deepEqual(await value(key, as), [false, 'environment']);
    good(await change(key, { environments: ['production', 'staging'] }));
    assert.deepEqual(await value(key), [false, 'user_override']);
    good(await toggle(key, { enabled: false }));
    assert.deepEqual(await value(key), [false, 'disabled']);
  });

  test('one id in two spellings is refused: nobody knows which was meant', async () => {
    const { flag_key: key } = await flag();
    const id = home.users.viewer;
    const twice = { [id]: false, [id.toUpperCase()]: true };
    const body = { flag_key: fresh(), name: 'Test' };
    for (const [name, overrides] of [['users', { users: twice }], ['organizations', { organizations: twice }], ['users', { users: { [id]: true, [`{${id}}`]: true } }]]) {
      refusedFields(await change(key, { overrides }), `overrides.${name}`);
      refusedFields(await root('POST', FLAGS, { body: { ...body, overrides } }), `overrides.${name}`);
    }
    // In one, whichever, it is the same id.
    const kept = good(await change(key, { overrides: { users: { [id.toUpperCase()]: false } } }));
    assert.deepEqual(kept.overrides.users, { [id]: false });
    assert.deepEqual(await value(key), [false, 'user_override']);
  });

  test('lists of users and of organizations', async () => {
    const users = await flag({ target_type: 'users', target_users: [home.users.viewer, randomUUID()], target_organizations: [other.id] });
    assert.deepEqual(await value(users.flag_key), [true, 'user_target']);
    assert.deepEqual(await value(users.flag_key, home.as.manager), [false, 'not_targeted']);
    assert.deepEqual(await value(users.flag_key, other.as.viewer), [false, 'not_targeted']);
    const orgs = await flag({ target_type: 'orgs', target_organizations: [home.id], target_users: [other.users.viewer] });
    assert.deepEqual(await value(orgs.flag_key), [true, 'organization_target']);
    assert.deepEqual(await value(orgs.flag_key, other.as.viewer), [false, 'not_targeted']);
    assert.deepEqual(await value((await flag({ target_type: 'users' })).flag_key), [false, 'not_targeted']);
  });

  test('a rollout takes exactly those that Unleash takes, and keeps them when it grows', async () => {
    const shares = [0, 1, 10, 25, 50, 75, 99, 100];
    const made = await Promise.all(shares.map((share) => flag({ target_type: 'percentage', target_percentage: share })));
    const users = Array.from({ length: 60 }, () => randomUUID());
    for (const user of users) {
      const all = good(await root('GET', `${FLAGS}/evaluate`, { query: { user_id: user } }));
      for (const { flag_key: key, target_percentage: share } of made) {
        const inside = place(key, user) <= share;
        assert.deepEqual(all[key], { value: inside, reason: inside ? 'rollout' : 'rollout_excluded' }, `${key} ${user} ${share}`);
      }
    }
    const { flag_key: key } = made[2];
    const inside = async () => {
      const found = [];
      for (const user of users) if ((await value(key, root, { user_id: user }))[0]) found.push(user);
      return found;
    };
    const few = await inside();
    good(await change(key, { target_percentage: 60 }));
    const more = await inside();
    assert.ok(few.every((user) => more.includes(user)) && more.length > few.length);
    assert.deepEqual(more, users.filter((user) => place(key, user) <= 60));
    assert.deepEqual(await value(key), place(key, home.users.viewer) <= 60 ? [true, 'rollout'] : [false, 'rollout_excluded']);
  });

  test('all at once: every flag, in one statement, and nothing of its targets', async () => {
    const stranger = randomUUID();
    const made = await flag({
      target_type: 'users', target_users: [stranger], target_organizations: [stranger], description: 'hidden words',
      overrides: { users: { [stranger]: true }, organizations: { [stranger]: true } }, metadata: { note: 'hidden words' },
    });
    good(await home.as.client('GET', `${FLAGS}/evaluate`));
    const answer = await home.as.client('GET', `${FLAGS}/evaluate`);
    const all = good(answer);
    const { rows } = await stack.pg.query('SELECT flag_key FROM feature_flags');
    assert.deepEqual(Object.keys(all).sort(), rows.map(({ flag_key: key }) => key).sort());
    assert.deepEqual(all[made.flag_key], { value: false, reason: 'not_targeted' });
    assert.ok(!answer.text.includes(stranger) && !answer.text.includes('hidden'));
    assert.deepEqual(counts(answer), { db: 1, do: 1 });
    const one = await home.as.client('GET', `${FLAG}/evaluate`, { key: made.flag_key });
    assert.deepEqual(good(one), { value: false, reason: 'not_targeted' });
    assert.deepEqual(counts(one), { db: 1, do: 1 });
  });

  test('for somebody else: only by a super administrator, with that person\'s organization', async () => {
    const { flag_key: key } = await flag({ target_type: 'orgs', target_organizations: [other.id] });
    const user = await createUser(stack, other.id, 'operator');
    assert.deepEqual(await value(key, root), [false, 'not_targeted']);
    assert.deepEqual(await value(key, root, { user_id: user }), [true, 'organization_target']);
    assert.deepEqual(await value(key, root, { organization_id: other.id }), [true, 'organization_target']);
    assert.deepEqual(await value(key, root, { user_id: user, organization_id: home.id }), [false, 'not_targeted']);
    for (const query of [{ user_id: home.users.viewer }, { organization_id: home.id }, { user_id: user }]) {
      refused(await home.as.admin('GET', `${FLAG}/evaluate`, { key, query }), 403, 'FORBIDDEN');
      refused(await home.as.admin('GET', `${FLAGS}/evaluate`, { query }), 403, 'FORBIDDEN');
    }
    for (const query of [{ user_id: 'x' }, { environment: 'production' }]) {
      refused(await root('GET', `${FLAGS}/evaluate`, { query }), 400, 'INVALID_QUERY');
    }
  });
});

describe('definitions', () => {
  test('a flag is made with defaults, off', async () => {
    const flagKey = fresh();
    const { id, created_at: created, updated_at: updated, ...rest } = good(
      await root('POST', FLAGS, { body: { flag_key: flagKey, name: 'New' } }), 201);
    assert.deepEqual(rest, {
      flag_key: flagKey, name: 'New', description: null, is_enabled: false, target_type: 'all', target_percentage: null,
      target_users: [], target_organizations: [], environments: [], overrides: { users: {}, organizations: {} }, metadata: {},
      updated_by: home.users.super_admin,
    });
    assert.equal(created, updated);
    assert.deepEqual(await value(flagKey), [false, 'disabled']);
    assert.equal((await auditOf(stack, id))[0].event, 'feature_flag.created');
    refused(await root('POST', FLAGS, { body: { flag_key: flagKey, name: 'Again' } }), 409, 'FLAG_KEY_TAKEN');
    assert.equal((await auditOf(stack, id)).length, 1);
  });

  test('what is wrong is named', async () => {
    const make = (body) => root('POST', FLAGS, { body: { flag_key: fresh(), name: 'Test', ...body } });
    for (const key of ['', 'A', 'a b', '-a', 'a-', 'a..b', 'á', 'a/b', 'evaluate', 'x'.repeat(101)]) {
      refusedFields(await make({ flag_key: key }), 'flag_key');
    }
    refusedFields(await make({ name: '' }), 'name');
    refusedFields(await make({ target_percentage: 101 }), 'target_percentage');
    refusedFields(await make({ target_type: 'percentage' }), 'target_percentage');
    refusedFields(await make({ environments: ['Production'] }), 'environments');
    refusedFields(await make({ target_users: Array.from({ length: 1001 }, () => randomUUID()) }), 'target_users');
    refusedFields(await make({ metadata: { text: 'x'.repeat(17_000) } }), 'metadata');
    for (const body of [
      { target_type: 'some' }, { target_percentage: -1 }, { target_percentage: 1.5 }, { target_users: ['x'] }, { environments: [1] },
      { overrides: { users: { x: true } } }, { overrides: { users: { [randomUUID()]: 'on' } } }, { overrides: { teams: {} } },
      { metadata: [] }, { name: null },
    ]) {
      refused(await make(body), 400, 'INVALID_BODY');
    }
    const { flag_key: key } = await flag();
    for (const name of ['name', 'is_enabled', 'target_type']) refusedFields(await change(key, { [name]: null }), name);
    refusedFields(await change(key, { name: 'x'.repeat(201) }), 'name');
    refusedFields(await change(key, { target_type: 'percentage' }), 'target_percentage');
    refused(await change(key, { flag_key: fresh() }), 400, 'INVALID_BODY');
  });

  test('changes are audited old and new, and only what changed', async () => {
    const made = await flag({ description: 'First', environments: ['staging'] });
    const { flag_key: key } = made;
    const changed = good(await change(key, {
      name: 'Second', description: null, target_type: 'percentage', target_percentage: 5, environments: null,
      overrides: { users: { [home.users.viewer.toUpperCase()]: true } }, metadata: { a: 1 },
    }));
    assert.deepEqual(changed, good(await root('GET', FLAG, { key })));
    assert.deepEqual(changed.overrides, { users: { [home.users.viewer]: true }, organizations: {} });
    good(await change(key, { name: 'Second', target_percentage: 5 }));
    good(await change(key, {}));
    good(await toggle(key, {}));
    good(await toggle(key, { enabled: false }));
    good(await change(key, { overrides: null, metadata: null, target_type: 'all', target_percentage: null }));
    good(await root('DELETE', FLAG, { key }), 204);
    refused(await root('GET', FLAG, { key }), 404, 'NOT_FOUND');
    refused(await home.as.viewer('GET', `${FLAG}/evaluate`, { key }), 404, 'NOT_FOUND');

    const rows = await auditOf(stack, made.id);
    const none = { users: {}, organizations: {} };
    assert.deepEqual(rows.map(({ event, action, changes }) => [event, action, changes]).slice(1, -1), [
      ['feature_flag.updated', 'update', {
        before: { name: 'Test', description: 'First', target_type: 'all', target_percentage: null, environments: ['staging'], overrides: none, metadata: {} },
        after: {
          name: 'Second', description: null, target_type: 'percentage', target_percentage: 5, environments: [],
          overrides: { users: { [home.users.viewer]: true }, organizations: {} }, metadata: { a: 1 },
        },
      }],
      ['feature_flag.toggled', 'update', { before: { is_enabled: true }, after: { is_enabled: false } }],
      ['feature_flag.updated', 'update', {
        before: { overrides: { users: { [home.users.viewer]: true }, organizations: {} }, metadata: { a: 1 }, target_type: 'percentage', target_percentage: 5 },
        after: { overrides: none, metadata: {}, target_type: 'all', target_percentage: null },
      }],
    ]);
    const last = rows.at(-1);
    assert.deepEqual([last.event, last.action, last.changes.before.flag_key, last.changes.after], ['feature_flag.deleted', 'delete', key, {}]);
    for (const row of rows) {
      assert.deepEqual(
        [row.resource_type, row.organization_id, row.user_id, row.actor_kind], ['feature_flag', null, home.users.super_admin, 'user']);
    }
  });

  test('switches at the same time follow each other', async () => {
    const { id, flag_key: key } = await flag();
    for (const answer of await Promise.all(Array.from({ length: 9 }, () => toggle(key)))) good(answer);
    assert.equal(good(await root('GET', FLAG, { key })).is_enabled, false);
    const states = (await auditOf(stack, id)).slice(1).map(({ changes }) => [changes.before.is_enabled, changes.after.is_enabled]);
    assert.deepEqual(states, Array.from({ length: 9 }, (_, index) => [index % 2 === 0, index % 2 === 1]));
  });

  test('a repeated switch with its idempotency key is one', async () => {
    const { flag_key: key } = await flag();
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all(Array.from({ length: 4 }, () => root('POST', `${FLAG}/toggle`, { key, body: {}, headers })));
    for (const answer of answers) assert.equal(good(answer).is_enabled, false);
  });

  test('the list: pages, search, filters', async () => {
    const mark = randomUUID().slice(0, 8);
    for (let index = 0; index < 5; index += 1) {
      await insert(stack, 'feature_flags', {
        flag_key: `list-${mark}-${index}`, name: index === 4 ? `100%_of ${mark}` : 'Listed', is_enabled: index % 2 === 0,
        target_type: index < 2 ? 'users' : 'all',
      });
    }
    const keys = async (query) => {
      const answer = await root('GET', FLAGS, { query: { search: mark, ...query } });
      const rows = good(answer);
      return [rows.map(({ flag_key: key }) => Number(key.at(-1))), answer.body.meta.total];
    };
    assert.deepEqual(await keys(), [[0, 1, 2, 3, 4], 5]);
    assert.deepEqual(await keys({ per_page: 2, page: 2 }), [[2, 3], 5]);
    assert.deepEqual(await keys({ page: 9 }), [[], 5]);
    assert.deepEqual(await keys({ enabled: true }), [[0, 2, 4], 3]);
    assert.deepEqual(await keys({ enabled: false, target_type: 'users' }), [[1], 1]);
    assert.deepEqual(await keys({ search: '100%_' }), [[4], 1]);
    assert.deepEqual(await keys({ search: '100_' }), [[], 0]);
    for (const query of [{ enabled: 'maybe' }, { target_type: 'some' }, { sort: 'name' }]) {
      refused(await root('GET', FLAGS, { query }), 400, 'INVALID_QUERY');
    }
    refusedFields(await root('GET', FLAGS, { query: { per_page: 101 } }), 'per_page');
  });

  test('the table refuses what the API would', async () => {
    for (const [row, constraint] of [
      [{ flag_key: 'Not A Key' }, 'feature_flags_flag_key_check'],
      [{ overrides: '[]' }, 'feature_flags_overrides_check'],
      [{ overrides: '{"users": {"x": 1}}' }, 'feature_flags_overrides_check'],
      [{ overrides: '{"teams": {}}' }, 'feature_flags_overrides_check'],
      [{ overrides: '{"users": []}' }, 'feature_flags_overrides_check'],
      [{ overrides: '{"users": {"x": []}}' }, 'feature_flags_overrides_check'],
      [{ target_percentage: 101 }, 'feature_flags_percentage_check'],
    ]) {
      await assert.rejects(insert(stack, 'feature_flags', { flag_key: fresh(), name: 'x', ...row }), { constraint });
    }
  });
});
