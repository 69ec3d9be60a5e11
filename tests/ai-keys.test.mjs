// Keys of AI providers and models, as those who manage them see them.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { eventually, good, refused, refusedFields } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { auditOf, createOrganization, rowOf } from './support/world.mjs';

const IMPORTED = ['sk-imported-one-1111', 'sk-imported-two-2222'];

let stack;
let ai;
let ours;
let theirs;
let admin;
let root;

before(async () => {
  stack = await startStack({ ai: { keys: { openai: IMPORTED } } });
  ai = stack.ai;
  ours = await createOrganization(stack);
  theirs = await createOrganization(stack, { roles: ['admin', 'super_admin'] });
  admin = ours.as.admin;
  root = ours.as.super_admin;
});
after(() => stack?.stop());

const secret = () => `sk-${randomBytes(18).toString('base64url')}`;
const make = async (as, more = {}) => good(await as('POST', '/api/ai/pool/keys', {
  body: { provider: 'openai', key_name: `Key ${randomUUID()}`, key_value: secret(), ...more },
}), 201);
const read = async (as, id) => good(await as('GET', '/api/ai/pool/keys/{id}', { id }));
const probe = async (as, id) => good(await as('POST', '/api/ai/pool/keys/{id}/test', { id, body: {} }));
const stats = async (as, query) => good(await as('GET', '/api/ai/pool/stats', { query }));
const stateOf = async (as, id) => (await stats(as)).keys.find((key) => key.id === id);

test('a key is kept encrypted, and only its end is ever shown', async () => {
  const value = secret();
  const key = await make(admin, { key_value: value, notes: 'n', priority: 3, weight: -2, rate_limit_rpm: 60, metadata: { quota_group: 'a' } });
  assert.equal(key.organization_id, ours.id);
  assert.equal(key.key_hint, value.slice(-4));
  assert.deepEqual([key.state, key.is_healthy, key.generation, key.weight], ['active', true, 1, -2]);
  const row = await rowOf(stack, 'ai_api_pool', key.id);
  assert.equal(row.key_value_encrypted.length, 12 + value.length + 16);
  for (const answer of [
    await admin('GET', '/api/ai/pool/keys/{id}', { id: key.id }), await admin('GET', '/api/ai/pool/keys'),
    await admin('GET', '/api/ai/pool/stats'), await admin('PATCH', '/api/ai/pool/keys/{id}', { id: key.id, body: { notes: null } }),
  ]) {
    good(answer);
    assert.ok(!answer.text.includes(value) && !answer.text.includes('encrypted') && !answer.text.includes('fingerprint'));
  }
  const audit = await auditOf(stack, key.id);
  assert.deepEqual(audit.map(({ event }) => event), ['ai_key.created', 'ai_key.updated']);
  assert.ok(!JSON.stringify([row, audit]).includes(value));
  assert.ok(!stack.logs().includes(value));
  const messages = await stack.pg.query('SELECT payload::text FROM outbox_messages');
  assert.ok(messages.rows.every(({ payload }) => !payload.includes(value)));
});

test('what is wrong with a key is said by field, without the key', async () => {
  const post = (more) => admin('POST', '/api/ai/pool/keys', { body: { provider: 'groq', key_name: 'Wrong', key_value: secret(), ...more } });
  for (const value of ['', 'has blanks', 'ñandú', 'x'.repeat(501), 'line\nbreak']) {
    const answer = await post({ key_value: value });
    refusedFields(answer, 'key_value');
    if (value) assert.ok(!answer.text.includes(value));
  }
  refusedFields(await post({ rate_limit_rpm: 0, rate_limit_tpm: 0, rate_limit_rpd: 0 }), 'rate_limit_rpm', 'rate_limit_tpm', 'rate_limit_rpd');
  refusedFields(await post({ metadata: { quota_group: 7 } }), 'metadata');
  refusedFields(await post({ organization_id: theirs.id }), 'organization_id');
  refusedFields(await root('POST', '/api/ai/pool/keys', {
    body: { provider: 'groq', key_name: 'x', key_value: secret(), organization_id: randomUUID() },
  }), 'organization_id');
  refused(await post({ provider: 'mistral' }), 400, 'INVALID_BODY');
  const { key_name: name } = await make(admin, { provider: 'groq' });
  refused(await post({ key_name: name }), 409, 'AI_KEY_NAME_TAKEN');
  const value = secret();
  const first = await make(admin, { key_value: value });
  refused(await admin('POST', '/api/ai/pool/keys', { body: { provider: 'openai', key_name: 'Again', key_value: value } }), 409, 'AI_KEY_TAKEN');
  const other = await make(admin);
  refused(await admin('PATCH', '/api/ai/pool/keys/{id}', { id: other.id, body: { key_value: value } }), 409, 'AI_KEY_TAKEN');
  refused(await admin('PATCH', '/api/ai/pool/keys/{id}', { id: other.id, body: { key_name: first.key_name } }), 409, 'AI_KEY_NAME_TAKEN');
  // What one has does not stand in another's way, and shows nothing.
  await make(theirs.as.admin, { key_value: value, key_name: first.key_name });
});

test('keys of the platform are the super administrators’ alone', async () => {
  const platform = await make(root);
  assert.equal(platform.organization_id, null);
  const mine = await make(root, { organization_id: ours.id });
  assert.equal(mine.organization_id, ours.id);
  refused(await admin('GET', '/api/ai/pool/keys/{id}', { id: platform.id }), 404, 'AI_KEY_NOT_FOUND');
  refused(await admin('PATCH', '/api/ai/pool/keys/{id}', { id: platform.id, body: { weight: 1 } }), 404, 'AI_KEY_NOT_FOUND');
  refused(await admin('DELETE', '/api/ai/pool/keys/{id}', { id: platform.id }), 404, 'AI_KEY_NOT_FOUND');
  refused(await admin('POST', '/api/ai/pool/keys/{id}/test', { id: platform.id, body: {} }), 404, 'AI_KEY_NOT_FOUND');
  const list = async (as, query) => good(await as('GET', '/api/ai/pool/keys', { query: { per_page: 100, ...query } })).map(({ id }) => id);
  assert.ok(!(await list(admin)).includes(platform.id) && (await list(admin)).includes(mine.id));
  assert.ok((await list(root, { platform: true })).includes(platform.id));
  assert.ok(!(await list(root, { platform: true })).includes(mine.id));
  assert.ok((await list(root, { organization_id: ours.id })).includes(mine.id));
  assert.ok(!(await stats(admin)).keys.some(({ id }) => id === platform.id));
  refusedFields(await admin('GET', '/api/ai/pool/stats', { query: { organization_id: theirs.id } }), 'organization_id');
  assert.ok((await stats(root, { organization_id: ours.id })).keys.some(({ id }) => id === mine.id));
});

test('a key is tried with a question, and its pool learns what came of it', async () => {
  const [good1, bad] = [await make(admin, { key_value: 'good-key-of-ours' }), await make(admin, { key_value: 'bad-key-of-ours' })];
  ai.on({ key: 'bad-key-of-ours' }, { status: 401, code: 'invalid_api_key' });
  const fine = await probe(admin, good1.id);
  assert.deepEqual([fine.ok, fine.status, fine.error], [true, 200, null]);
  const call = ai.calls.findLast(({ key }) => key === 'good-key-of-ours');
  // The cheapest of its models.
  assert.equal(call.model, 'gpt-6-luna');
  const wrong = await probe(admin, bad.id);
  assert.deepEqual([wrong.ok, wrong.status, wrong.error], [false, 401, 'invalid_key']);
  const state = await stateOf(admin, bad.id);
  assert.deepEqual([state.state, state.reason], ['disabled', 'invalid_key']);
  assert.ok(Date.parse(state.since) > Date.now() - 60_000);
  assert.ok((await read(admin, good1.id)).last_health_check);
  // It follows in PostgreSQL, and is an event of the system.
  await eventually(async () => (await read(admin, bad.id)).state === 'disabled');
  const { rows } = await stack.pg.query("SELECT * FROM system_events WHERE event_type = 'ai_key.disabled'");
  assert.equal(rows.length, 1);
  assert.ok(!JSON.stringify(rows).includes('bad-key-of-ours'));
  // Once it works it is used again.
  ai.clear();
  assert.equal((await probe(admin, bad.id)).ok, true);
  assert.equal((await stateOf(admin, bad.id)).state, 'active');
  await eventually(async () => (await read(admin, bad.id)).is_healthy);
});

test('putting a key back into use, or another in its place, gives it a clean record', async () => {
  const key = await make(admin, { key_value: 'a-key-that-is-refused' });
  ai.on({ key: 'a-key-that-is-refused' }, { status: 401, code: 'invalid_api_key' });
  await probe(admin, key.id);
  assert.equal((await stateOf(admin, key.id)).state, 'disabled');
  const patch = async (body) => good(await admin('PATCH', '/api/ai/pool/keys/{id}', { id: key.id, body }));
  assert.equal((await patch({ notes: 'x' })).generation, 1);
  const back = await patch({ is_active: true });
  assert.deepEqual([back.generation, back.state, back.is_healthy], [2, 'active', true]);
  const other = await patch({ key_value: 'a-key-that-works' });
  assert.equal(other.generation, 3);
  const changes = (await auditOf(stack, key.id)).map((row) => JSON.stringify(row));
  assert.ok(changes.every((text) => !text.includes('a-key-that-works')));
  assert.equal((await probe(admin, key.id)).ok, true);
  ai.clear();
});

test('a key that does not open is disabled, and says so', async () => {
  const key = await make(admin);
  await stack.pg.query("UPDATE ai_api_pool SET key_value_encrypted = '\\x00' WHERE id = $1", [key.id]);
  const tested = await probe(admin, key.id);
  assert.deepEqual([tested.ok, tested.status, tested.error], [false, null, 'key_unreadable']);
  assert.equal((await stateOf(admin, key.id)).reason, 'key_unreadable');
});

test('whatever a provider answers to a try is an answer', async () => {
  const key = await make(admin, { key_value: 'a-key-of-strange-answers' });
  for (const behaviour of [{ html: true, status: 502 }, { drop: true }, { status: 500, garbage: true }, { status: 529, body: 'x'.repeat(300_000) }]) {
    ai.clear();
    ai.on({ key: 'a-key-of-strange-answers' }, behaviour);
    const tested = await probe(admin, key.id);
    assert.equal(tested.ok, false, JSON.stringify(behaviour));
    assert.ok(tested.error);
  }
  ai.clear();
  assert.equal((await probe(admin, key.id)).ok, true);
});

test('the keys in the worker’s variables are imported once', async () => {
  const imported = async () => (await stack.pg.query(
    "SELECT * FROM ai_api_pool WHERE key_name LIKE 'OPENAI_API_KEYS%' ORDER BY key_name")).rows;
  await stack.triggerCron('4-59/5 * * * *');
  const first = await imported();
  assert.deepEqual(first.map(({ key_name: name }) => name), ['OPENAI_API_KEYS 1 1111', 'OPENAI_API_KEYS 2 2222']);
  assert.ok(first.every((row) => row.organization_id === null && row.last_health_check));
  good(await root('DELETE', '/api/ai/pool/keys/{id}', { id: first[0].id }), 204);
  await stack.restart();
  await stack.triggerCron('4-59/5 * * * *');
  assert.deepEqual((await imported()).map(({ id }) => id), [first[1].id]);
  assert.ok(!stack.logs().includes(IMPORTED[0]));
});

test('the job tries what rests, failed or was not used for a while', async () => {
  const [idle, used, refusedKey] = [
    await make(admin, { key_value: 'an-idle-key-of-ours' }), await make(admin), await make(admin, { key_value: 'a-refused-key-of-ours' }),
  ];
  await stack.pg.query('UPDATE ai_api_pool SET last_used_at = now() WHERE id = $1', [used.id]);
  ai.on({ key: 'a-refused-key-of-ours' }, { status: 401, code: 'invalid_api_key' });
  await stack.triggerCron('4-59/5 * * * *');
  assert.ok((await read(admin, idle.id)).last_health_check);
  assert.equal((await read(admin, used.id)).last_health_check, null);
  assert.equal((await stateOf(admin, refusedKey.id)).reason, 'invalid_key');
  ai.clear();
  await eventually(async () => (await read(admin, refusedKey.id)).state === 'disabled');
  await stack.pg.query("UPDATE ai_api_pool SET last_health_check = now() - interval '2 hours' WHERE id = $1", [refusedKey.id]);
  await stack.triggerCron('4-59/5 * * * *');
  assert.equal((await stateOf(admin, refusedKey.id)).state, 'active');
  assert.deepEqual(ai.problems, []);
});

test('a pool has room for a hundred keys', async () => {
  await stack.pg.query(`
    INSERT INTO ai_api_pool (organization_id, provider, key_name, key_value_encrypted)
    SELECT $1, 'deepseek', 'Many ' || n, '\\x00' FROM generate_series(1, 100) n`, [theirs.id]);
  refused(await theirs.as.admin('POST', '/api/ai/pool/keys', {
    body: { provider: 'deepseek', key_name: 'One more', key_value: secret() },
  }), 409, 'AI_KEY_LIMIT_REACHED');
});

test('models are the super administrators’ to change and everybody’s to see', async () => {
  const post = (body) => root('POST', '/api/ai/models', { body: { provider: 'openai', model_id: `m-${randomUUID()}`, display_name: 'M', ...body } });
  const model = good(await post({
    aliases: ['quick', 'cheap', 'quick'], capabilities: { vision: true }, cost_per_1k_input: 0.00015, cost_per_1k_cached: 0.0000375,
    cost_per_1k_output: 0.0006, context_window: 1000, metadata: { pricing: { long_context: { over: 10, input: 2, output: 2 } } }, is_default: true,
  }), 201);
  assert.deepEqual(model.aliases, ['cheap', 'quick']);
  assert.equal(model.cost_per_1k_cached, 0.0000375);
  assert.equal(model.capabilities.vision, true);
  const defaults = await stack.pg.query('SELECT id FROM ai_models WHERE is_default');
  assert.deepEqual(defaults.rows.map(({ id }) => id), [model.id]);
  const [first] = good(await ours.as.viewer('GET', '/api/ai/models'));
  assert.equal(first.id, model.id);
  assert.deepEqual(good(await ours.as.viewer('GET', '/api/ai/models', { query: { alias: 'quick' } })).map(({ id }) => id), [model.id]);
  assert.ok(good(await ours.as.viewer('GET', '/api/ai/models', { query: { capability: 'vision' } })).some(({ id }) => id === model.id));
  refused(await post({ model_id: model.model_id }), 409, 'MODEL_TAKEN');
  refusedFields(await post({ metadata: { pricing: { peak: 1 } } }), 'metadata');
  refusedFields(await post({ aliases: ['a b'] }), 'aliases');
  refused(await post({ cost_per_1k_input: 0.0000001 }), 400, 'INVALID_BODY');
  const changed = good(await root('PATCH', '/api/ai/models/{id}', { id: model.id, body: { aliases: null, cost_per_1k_output: null, is_default: false } }));
  assert.deepEqual([changed.aliases, changed.cost_per_1k_output, changed.is_default], [[], null, false]);
  good(await root('DELETE', '/api/ai/models/{id}', { id: model.id }), 204);
  refused(await admin('GET', '/api/ai/models/{id}', { id: model.id }), 404, 'MODEL_NOT_FOUND');
  assert.equal(good(await root('GET', '/api/ai/models/{id}', { id: model.id })).is_active, false);
});

test('which providers can be called', async () => {
  const of = async (as, name) => good(await as('GET', '/api/ai/providers')).find(({ provider }) => provider === name);
  assert.equal(good(await ours.as.viewer('GET', '/api/ai/providers')).length, 6);
  assert.deepEqual(await of(ours.as.viewer, 'anthropic'), {
    provider: 'anthropic', name: 'Anthropic', is_available: false, models: 3, own_keys: 0, has_platform_keys: false,
  });
  const key = await make(admin, { provider: 'anthropic' });
  assert.deepEqual((({ is_available: well, own_keys: own }) => [well, own])(await of(ours.as.viewer, 'anthropic')), [true, 1]);
  assert.equal((await of(theirs.as.admin, 'anthropic')).is_available, false);
  good(await admin('DELETE', '/api/ai/pool/keys/{id}', { id: key.id }), 204);
  assert.equal((await of(ours.as.viewer, 'anthropic')).own_keys, 0);
});
