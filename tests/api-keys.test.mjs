// API keys: made and shown once, listed, replaced while the old one goes on for a while, deleted at once.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { about, sameMoment } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { GRANTED } from './support/roles.mjs';
import { PLANS, auditOf, createOrganization, createUser, placesOf, rowOf, signedIn, topicsAbout, withApiKey } from './support/world.mjs';

const stack = await sharedStack();
const all = '/api/users/{id}/api-keys';
const one = '/api/users/{id}/api-keys/{inner_id}';
const rotation = '/api/users/{id}/api-keys/{inner_id}/rotate';
const DAY = 86_400_000;
let home;
let owner;
let own;

before(async () => {
  home = await createOrganization(stack);
});

/** Somebody without keys. */
async function newOwner() {
  owner = await createUser(stack, home.id, 'developer');
  own = await signedIn(stack, owner);
}

const make = (body, { by = own, id = owner, ...more } = {}) =>
  by('POST', all, { id, body: { name: 'CI', scopes: ['licenses:read'], ...body }, ...more });
const rotate = (key, body = {}, { by = own, id = owner, ...more } = {}) => by('POST', rotation, { id, inner_id: key.id, body, ...more });
const list = (query, by = own, id = owner) => by('GET', all, { id, query });
const remove = (key, by = own, id = owner) => by('DELETE', one, { id, inner_id: key.id });
const using = ({ key }) => caller(stack, { apiKey: key });
const licenses = (key) => using(key)('GET', '/api/licenses');
const works = async (key) => good(await licenses(key));
const isDead = async (key) => refused(await licenses(key), 401, 'INVALID_API_KEY');

describe('a new key', () => {
  before(newOwner);

  test('is shown once, works, and is stored nowhere', async () => {
    const key = good(await make({ rate_limit_rpm: 120 }), 201);
    assert.match(key.key, /^celk_[\w-]{8}[\w-]{32,}$/);
    assert.equal(key.key_prefix, key.key.slice(0, 13));
    assert.deepEqual([key.name, key.scopes, key.rate_limit_rpm, key.is_active, key.user_id, key.created_by, key.organization_id],
      ['CI', ['licenses:read'], 120, true, owner, owner, home.id]);
    await works(key);
    assert.equal((await using(key)('GET', '/api/licenses')).headers.get('ratelimit-limit'), '120');
    assert.deepEqual(await placesOf(stack, key.key), []);
    assert.deepEqual(await placesOf(stack, key.key.slice(13)), []);
    const shown = await list({ prefix: key.key_prefix });
    assert.ok(!shown.text.includes(key.key));
    const { key: _, ...rest } = key;
    const [{ usage_count: uses, last_used_at: last, updated_at: at, ...row }] = good(shown);
    const { usage_count: noUses, last_used_at: never, updated_at: was, ...stored } = rest;
    assert.deepEqual(row, stored);
  });

  test('leaves an audit row and an event without the key', async () => {
    const key = good(await make({}), 201);
    const [row, ...more] = await auditOf(stack, key.id);
    assert.deepEqual(more, []);
    assert.deepEqual([row.event, row.action, row.resource_type, row.organization_id], ['api_key.created', 'create', 'api_key', home.id]);
    assert.equal(row.changes.after.key_prefix, key.key_prefix);
    assert.deepEqual(await topicsAbout(stack, 'api_key', key.id), ['api_key.created']);
    const { rows } = await stack.pg.query(`SELECT payload FROM outbox_messages WHERE payload->'api_key'->>'id' = $1`, [key.id]);
    assert.deepEqual(Object.keys(rows[0].payload.api_key).sort(),
      ['expires_at', 'id', 'key_prefix', 'name', 'organization_id', 'rate_limit_rpm', 'scopes', 'user_id']);
  });

  test('is named in the audit rows it causes', async () => {
    const key = good(await make({ scopes: ['licenses:*'] }), 201);
    const license = good(await using(key)('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
    const [row] = await auditOf(stack, license.id);
    assert.deepEqual([row.actor_kind, row.api_key_id, row.user_id], ['api_key', key.id, owner]);
  });

  test('the same request twice makes one key and shows it twice, kept sealed', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all([make({ name: 'Twice' }, { headers }), make({ name: 'Twice' }, { headers })]);
    const [first, second] = answers.map((answer) => good(answer, 201));
    assert.deepEqual(first, second);
    assert.deepEqual(good(await make({ name: 'Twice' }, { headers }), 201), first);
    assert.deepEqual(await placesOf(stack, first.key.slice(13)), []);
    const { rows } = await stack.pg.query('SELECT response FROM idempotency_keys WHERE key = $1', [headers['idempotency-key']]);
    assert.deepEqual(Object.keys(rows[0].response), ['sealed']);
    refused(await make({ name: 'Other' }, { headers }), 409, 'IDEMPOTENCY_CONFLICT');
    assert.equal(good(await list({ per_page: 100 })).filter((key) => key.name === 'Twice').length, 1);
    await works(first);
  });

  test('a sealed answer opens only for its own caller and key', async () => {
    const [mine, other] = [randomUUID(), randomUUID()];
    good(await make({}, { headers: { 'idempotency-key': mine } }), 201);
    good(await make({}, { headers: { 'idempotency-key': other } }), 201);
    await stack.pg.query(
      'UPDATE idempotency_keys SET response = (SELECT response FROM idempotency_keys WHERE key = $1) WHERE key = $2', [mine, other]);
    refused(await make({}, { headers: { 'idempotency-key': other } }), 500, 'INTERNAL');
  });

  test('values out of bounds', async () => {
    refusedFields(await make({ name: '' }), 'name');
    refusedFields(await make({ name: 'x'.repeat(101) }), 'name');
    refusedFields(await make({ scopes: [] }), 'scopes');
    refusedFields(await make({ scopes: ['licenses'] }), 'scopes');
    refusedFields(await make({ scopes: Array(51).fill('licenses:read') }), 'scopes');
    refusedFields(await make({ rate_limit_rpm: 0 }), 'rate_limit_rpm');
    refusedFields(await make({ rate_limit_rpm: 100_001 }), 'rate_limit_rpm');
    refusedFields(await make({ expires_at: '2020-01-01' }), 'expires_at');
    refused(await make({ expires_at: 'soon' }), 400, 'INVALID_BODY');
    refused(await make({ key: 'celk_mine' }), 400, 'INVALID_BODY');
  });

  test('scopes must be held by the maker and by the owner', async () => {
    const refusals = [
      await make({ scopes: ['users:read'] }),
      await make({ scopes: ['licenses:read', 'api_keys:write'] }),
      await make({ scopes: ['*'] }),
      // An administrator may, the owner may not.
      await make({ scopes: ['users:read'] }, { by: home.as.admin }),
    ];
    for (const answer of refusals) refused(answer, 403, 'PERMISSION_NOT_HELD');
    good(await make({ scopes: ['licenses:*'] }), 201);
    const forSomebody = good(await make({ scopes: ['licenses:*'] }, { by: home.as.admin }), 201);
    assert.deepEqual([forSomebody.user_id, forSomebody.created_by], [owner, home.users.admin]);
    // The owner may, whoever holds only this scope may not.
    const keeper = await createUser(stack, home.id, 'viewer', { scopes: JSON.stringify(['api_keys:*']) });
    refused(await make({ scopes: ['licenses:write'] }, { by: await signedIn(stack, keeper) }), 403, 'PERMISSION_NOT_HELD');
    const narrow = await withApiKey(stack, owner, home.id, { scopes: ['account:write'] });
    refused(await make({ scopes: ['licenses:read'] }, { by: narrow }), 403, 'PERMISSION_NOT_HELD');
    good(await make({ scopes: ['account:write'] }, { by: narrow }), 201);
  });

  test('twenty are enough, also at once', async () => {
    const id = await createUser(stack, home.id, 'viewer');
    const by = await signedIn(stack, id);
    const answers = await Promise.all(Array.from({ length: 30 }, () => make({}, { by, id })));
    assert.equal(answers.filter((answer) => answer.status === 201).length, 20);
    for (const answer of answers.filter(({ status }) => status !== 201)) refused(answer, 409, 'API_KEY_LIMIT_REACHED');
    const [first, second] = good(await list({}, by, id));
    // A replaced one counts as long as it works.
    refused(await rotate(first, {}, { by, id }), 409, 'API_KEY_LIMIT_REACHED');
    const fresh = good(await rotate(first, { overlap_seconds: 0 }, { by, id }), 201);
    refused(await make({}, { by, id }), 409, 'API_KEY_LIMIT_REACHED');
    good(await remove(second, by, id), 204);
    good(await rotate(fresh, {}, { by, id }), 201);
    refused(await make({}, { by, id }), 409, 'API_KEY_LIMIT_REACHED');
    const { rows: [{ count: working }] } = await stack.pg.query(
      `SELECT count(*)::int FROM user_api_keys WHERE user_id = $1 AND is_active AND (expires_at IS NULL OR expires_at > now())`, [id]);
    assert.equal(working, 20);
    // What is over is not counted.
    await stack.pg.query(`UPDATE user_api_keys SET expires_at = now() WHERE id = $1`, [fresh.id]);
    good(await make({}, { by, id }), 201);
    refused(await make({}, { by, id }), 409, 'API_KEY_LIMIT_REACHED');
  });
});

describe('what a key makes or ends', () => {
  before(newOwner);
  const soon = (seconds) => new Date(Date.now() + seconds * 1000);
  const working = { scopes: ['account:write', 'account:read', 'licenses:read'] };
  const withKey = (more = {}) => withApiKey(stack, owner, home.id, { ...working, ...more });

  test('does not outlive it', async () => {
    const expiry = soon(3600);
    const by = await withKey({ expires_at: expiry });
    refused(await make({ expires_at: soon(7200).toISOString() }, { by }), 403, 'API_KEY_OUTRANKED');
    sameMoment(good(await make({}, { by }), 201).expires_at, expiry.toISOString());
    about(good(await make({ expires_at: soon(60).toISOString() }, { by }), 201).expires_at, Date.now() + 60_000);
    const lasting = await withKey();
    refused(await rotate(lasting, {}, { by }), 403, 'API_KEY_OUTRANKED');
    refused(await remove(lasting, by), 403, 'API_KEY_OUTRANKED');
    await works(lasting);
    // Itself it may replace, and end.
    const fresh = good(await rotate(by, { overlap_seconds: 60 }, { by }), 201);
    sameMoment(fresh.expires_at, expiry.toISOString());
    good(await remove(fresh, using(fresh)), 204);
    await isDead(fresh);
  });

  test('does not outrank it', async () => {
    const narrow = await withKey({ scopes: ['account:write'] });
    const wide = await withKey({ scopes: ['*'] });
    for (const answer of [await remove(wide, narrow), await rotate(wide, {}, { by: narrow })]) {
      refused(answer, 403, 'PERMISSION_NOT_HELD');
    }
    await works(wide);
    good(await remove(narrow, wide), 204);
    refused(await narrow('GET', '/api/auth/me'), 401, 'INVALID_API_KEY');
  });

  test('works no more often than it', async () => {
    const by = await withKey({ rate_limit_rpm: 50 });
    refused(await make({ rate_limit_rpm: 51 }, { by }), 403, 'API_KEY_OUTRANKED');
    assert.equal(good(await make({}, { by }), 201).rate_limit_rpm, 50);
    refused(await rotate(await withKey(), {}, { by }), 403, 'API_KEY_OUTRANKED');
  });

  test('ends with it', async () => {
    const by = await withKey();
    const child = good(await make({ scopes: working.scopes }, { by }), 201);
    assert.equal(child.made_with, by.id);
    const grandchild = good(await make({}, { by: using(child) }), 201);
    // A rotation hands them on to the new key.
    const fresh = good(await rotate(by, { overlap_seconds: 0 }), 201);
    for (const key of [child, grandchild]) await works(key);
    good(await remove(fresh), 204);
    for (const key of [fresh, child, grandchild]) {
      await isDead(key);
      assert.equal((await auditOf(stack, key.id)).at(-1).event, 'api_key.deleted');
    }
  });

  test('ends with it, whichever of the others replaced it', async () => {
    const by = await withKey();
    const child = good(await make({ scopes: working.scopes }, { by }), 201);
    const grandchild = good(await make({ scopes: working.scopes }, { by: using(child) }), 201);
    const fresh = good(await rotate(child, { overlap_seconds: 0 }, { by: using(grandchild) }), 201);
    for (const key of [grandchild, fresh]) await works(key);
    good(await remove({ id: by.id }), 204);
    for (const key of [child, grandchild, fresh]) await isDead(key);
  });

  test('in the place of one without a maker ends with what replaced it, and not with the old one', async () => {
    const [lone, by] = [await withKey(), await withKey()];
    const fresh = good(await rotate(lone, {}, { by }), 201);
    assert.equal(fresh.made_with, by.id);
    good(await remove(lone), 204);
    await works(fresh);
    good(await remove(by), 204);
    await isDead(fresh);
  });

  test('ends with it whenever it is made', async () => {
    for (let round = 0; round < 5; round += 1) {
      const by = await withKey();
      const [removed, ...made] = await Promise.all([
        remove(by), ...Array.from({ length: 4 }, () => make({}, { by })),
      ]);
      good(removed, 204);
      for (const answer of made) if (answer.status === 201) await isDead(answer.data);
    }
  });
});

describe('the list', () => {
  test('by prefix and page, the latest first, without the deleted', async () => {
    const id = await createUser(stack, home.id, 'viewer');
    const by = await signedIn(stack, id);
    const keys = [];
    for (let n = 0; n < 5; n += 1) keys.push(good(await make({ name: `Key ${n}` }, { by, id }), 201));
    good(await remove(keys[2], by, id), 204);
    const answer = await list({ per_page: 3 }, by, id);
    assert.deepEqual(good(answer).map((key) => key.name), ['Key 4', 'Key 3', 'Key 1']);
    assert.deepEqual(answer.body.meta, { page: 1, per_page: 3, total: 4, total_pages: 2 });
    assert.deepEqual(good(await list({ prefix: keys[0].key_prefix }, by, id)).map((key) => key.id), [keys[0].id]);
    assert.equal(good(await list({ prefix: 'celk_' }, by, id)).length, 4);
    for (const prefix of ['%', '_', 'celk%', keys[0].key]) {
      const found = await list({ prefix }, by, id);
      if (prefix.length > 20) refusedFields(found, 'prefix');
      else assert.deepEqual(good(found), []);
    }
    refused(await list({}, home.as.manager, id), 403, 'FORBIDDEN');
    assert.equal(good(await list({}, home.as.admin, id)).length, 4);
  });

  test('one that is over is shown as such', async () => {
    const id = await createUser(stack, home.id, 'viewer');
    const key = await withApiKey(stack, id, home.id, { expires_at: new Date(Date.now() - 1000) });
    const [shown] = good(await list({}, home.as.admin, id));
    assert.deepEqual([shown.id, shown.is_active], [key.id, false]);
  });
});

describe('deletion', () => {
  before(newOwner);

  test('is in force with the next request', async () => {
    const key = good(await make({}), 201);
    await works(key);
    good(await remove(key), 204);
    for (let round = 0; round < 5; round += 1) await isDead(key);
    refused(await remove(key), 404, 'NOT_FOUND');
    const row = (await auditOf(stack, key.id)).at(-1);
    assert.deepEqual([row.event, row.action, row.changes.before.is_active], ['api_key.deleted', 'delete', true]);
    assert.deepEqual(await topicsAbout(stack, 'api_key', key.id), ['api_key.created', 'api_key.deleted']);
  });

  test("of somebody else's key under one's own name: 404", async () => {
    const other = await createUser(stack, home.id, 'developer');
    const key = good(await make({}), 201);
    refused(await remove(key, await signedIn(stack, other), other), 404, 'NOT_FOUND');
    refused(await rotate(key, {}, { by: await signedIn(stack, other), id: other }), 404, 'NOT_FOUND');
    await works(key);
  });
});

describe('rotation', () => {
  before(newOwner);

  test('makes a key of the same worth; both work until the overlap is over', async () => {
    const old = good(await make({ name: 'Build', scopes: ['licenses:*'], rate_limit_rpm: 77 }), 201);
    const fresh = good(await rotate(old), 201);
    assert.notEqual(fresh.key, old.key);
    assert.deepEqual([fresh.name, fresh.scopes, fresh.rate_limit_rpm, fresh.expires_at, fresh.user_id],
      ['Build', ['licenses:*'], 77, null, owner]);
    await works(old);
    await works(fresh);
    const row = await rowOf(stack, 'user_api_keys', old.id);
    assert.equal(row.replaced_by, fresh.id);
    about(row.expires_at.toISOString(), Date.now() + DAY);
  });

  test('ends the old one when the overlap is over, whoever knows it', async () => {
    const old = good(await make({}), 201);
    await works(old);
    const fresh = good(await rotate(old, { overlap_seconds: 2 }), 201);
    await works(old);
    await setTimeout(2200);
    await isDead(old);
    await works(fresh);
  });

  test('leaves an audit row with before and after, and an event without the key', async () => {
    const old = good(await make({}), 201);
    const fresh = good(await rotate(old, { overlap_seconds: 60 }), 201);
    const row = (await auditOf(stack, old.id)).at(-1);
    assert.deepEqual([row.event, row.action], ['api_key.rotated', 'update']);
    assert.deepEqual([row.changes.before.replaced_by, row.changes.after.replaced_by], [null, fresh.id]);
    assert.equal(row.changes.before.expires_at, null);
    about(row.changes.after.expires_at, Date.now() + 60_000);
    assert.deepEqual(await topicsAbout(stack, 'api_key', fresh.id), ['api_key.rotated']);
    assert.deepEqual(await placesOf(stack, fresh.key.slice(13)), []);
  });

  test('neither key works beyond the expiry of the old one', async () => {
    const expiry = new Date(Date.now() + DAY / 2).toISOString();
    const old = good(await make({ expires_at: expiry }), 201);
    sameMoment(old.expires_at, expiry);
    const fresh = good(await rotate(old, { overlap_seconds: 604_800 }), 201);
    sameMoment(fresh.expires_at, expiry);
    sameMoment((await rowOf(stack, 'user_api_keys', old.id)).expires_at.toISOString(), expiry);
    const short = good(await rotate(fresh, { overlap_seconds: 60 }), 201);
    sameMoment(short.expires_at, expiry);
    about((await rowOf(stack, 'user_api_keys', fresh.id)).expires_at.toISOString(), Date.now() + 60_000);
  });

  test('without an overlap the old one is useless at once', async () => {
    const old = good(await make({}), 201);
    const fresh = good(await rotate(old, { overlap_seconds: 0 }), 201);
    await isDead(old);
    await works(fresh);
  });

  test('of one that was replaced, is over, or was deleted', async () => {
    const old = good(await make({}), 201);
    good(await rotate(old), 201);
    refused(await rotate(old), 409, 'API_KEY_ENDED');
    for (const state of [{ expires_at: new Date(Date.now() - 1000) }, { is_active: false }]) {
      refused(await rotate(await withApiKey(stack, owner, home.id, { scopes: ['licenses:read'], ...state })), 409, 'API_KEY_ENDED');
    }
    const gone = good(await make({}), 201);
    good(await remove(gone), 204);
    refused(await rotate(gone), 404, 'NOT_FOUND');
  });

  test('by many at once: one new key', async () => {
    const old = good(await make({ name: 'Wanted' }), 201);
    const answers = await Promise.all(Array.from({ length: 20 }, () => rotate(old)));
    const made = answers.filter((answer) => answer.status === 201);
    assert.equal(made.length, 1);
    for (const answer of answers.filter(({ status }) => status !== 201)) refused(answer, 409, 'API_KEY_ENDED');
    const { rows } = await stack.pg.query(`SELECT id FROM user_api_keys WHERE user_id = $1 AND name = 'Wanted'`, [owner]);
    assert.deepEqual(rows.map(({ id }) => id).sort(), [old.id, made[0].data.id].sort());
  });

  test('and deletion at once leave no new key of a deleted one behind unseen', async () => {
    for (let round = 0; round < 5; round += 1) {
      const old = good(await make({}), 201);
      const [rotated, removed] = await Promise.all([rotate(old), remove(old)]);
      good(removed, 204);
      await isDead(old);
      if (rotated.status === 201) {
        await works(rotated.data);
        good(await remove(rotated.data), 204);
      } else {
        refused(rotated, 404, 'NOT_FOUND');
      }
    }
  });

  test('by a key itself', async () => {
    const old = good(await make({ scopes: ['account:write', 'licenses:read'] }), 201);
    const fresh = good(await rotate(old, {}, { by: using(old) }), 201);
    const row = (await auditOf(stack, old.id)).at(-1);
    assert.deepEqual([row.event, row.actor_kind, row.api_key_id], ['api_key.rotated', 'api_key', old.id]);
    await works(fresh);
  });

  test('never gives anybody more than they have', async () => {
    const wide = good(await make({ scopes: ['licenses:*', 'account:*'] }), 201);
    const narrow = good(await make({ scopes: ['account:write'] }), 201);
    refused(await rotate(wide, {}, { by: using(narrow) }), 403, 'PERMISSION_NOT_HELD');
    // Somebody who may write keys, but not what the key may do.
    const keeper = await createUser(stack, home.id, 'viewer', { scopes: JSON.stringify(['api_keys:*']) });
    refused(await rotate(wide, {}, { by: await signedIn(stack, keeper) }), 403, 'PERMISSION_NOT_HELD');
    assert.equal((await rowOf(stack, 'user_api_keys', wide.id)).replaced_by, null);
    good(await rotate(wide, {}, { by: home.as.admin }), 201);
  });

  test('is not for those who may do less than the owner', async () => {
    // A key of a super administrator reaches every tenant, however few its scopes are.
    const id = home.users.super_admin;
    const key = await withApiKey(stack, id, home.id, { scopes: ['licenses:read'] });
    for (const answer of [
      await rotate(key, {}, { by: home.as.admin, id }), await make({}, { by: home.as.admin, id }), await remove(key, home.as.admin, id),
    ]) {
      refused(answer, 403, 'PERMISSION_NOT_HELD');
    }
    good(await rotate(key, {}, { by: home.as.super_admin, id }), 201);
  });

  test('out of bounds', async () => {
    const key = good(await make({}), 201);
    refusedFields(await rotate(key, { overlap_seconds: 604_801 }), 'overlap_seconds');
    refused(await rotate(key, { overlap_seconds: -1 }), 400, 'INVALID_BODY');
    refused(await rotate(key, { overlap_seconds: '1' }), 400, 'INVALID_BODY');
  });
});

test('what somebody loses, their keys lose with it', async () => {
  const id = await createUser(stack, home.id, 'developer');
  const key = await withApiKey(stack, id, home.id, { scopes: GRANTED.developer });
  good(await key('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 201);
  good(await home.as.admin('PATCH', '/api/users/{id}', { id, body: { role: 'viewer' } }));
  refused(await key('POST', '/api/licenses', { body: { plan_id: PLANS.free } }), 403, 'FORBIDDEN');
});
