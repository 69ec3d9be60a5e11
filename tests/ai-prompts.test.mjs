// Prompts: versions, who serves, what is measured, what is rendered and what differs.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { auditOf, createOrganization } from './support/world.mjs';

const PROMPTS = '/api/ai/prompts';
const PROMPT = '/api/ai/prompts/{id}';

const stack = await sharedStack();
const home = await createOrganization(stack);
const other = await createOrganization(stack, { roles: ['admin', 'developer'] });
const as = home.as.developer;
const root = home.as.super_admin;

const fresh = (word = 'test') => `${word}_${randomUUID()}`;
const body = (more) => ({ slug: fresh(), name: 'Test', category: 'test', system_prompt: 'You extract.', ...more });
const make = async (more, call = as) => good(await call('POST', PROMPTS, { body: body(more) }), 201);
const version = async ({ id }, more = {}, call = as) => good(await call('POST', `${PROMPT}/versions`, { id, body: more }), 201);
const render = (id, more = {}, call = as) => call('POST', `${PROMPT}/render`, { id, body: more });
const read = async ({ id }) => good(await as('GET', PROMPT, { id }));
const activeOf = async (slug) => {
  const rows = good(await as('GET', PROMPTS, { query: { slug, is_active: true } }));
  return rows.map((row) => row.version).sort();
};

describe('making', () => {
  test('a prompt has what the dictionary says, and its variables are those of its texts', async () => {
    const made = await make({
      system_prompt: 'Answer in {{language}}.', user_prompt_template: 'Text: {{input_text}}\nAs: {{ output_format }}',
      tags: ['one', 'two'], metadata: { a: 1 },
    });
    assert.deepEqual(made.variables, ['input_text', 'language', 'output_format']);
    assert.deepEqual([made.version, made.is_active, made.temperature, made.max_tokens, made.top_p, made.weight], [1, true, 0.7, 2048, 1, 100]);
    assert.deepEqual([made.usage_count, made.success_rate, made.avg_response_time_ms], [0, null, null]);
    assert.deepEqual(await read(made), made);
    const [row] = await auditOf(stack, made.id);
    assert.equal(row.event, 'prompt.created');
    assert.equal(row.changes.after.system_prompt, '[redacted]');
    assert.ok(!JSON.stringify(row).includes('Answer in'));
  });

  test('declared variables are checked both ways', async () => {
    const texts = { system_prompt: 'x', user_prompt_template: '{{a}} {{b}}' };
    const problems = async (variables) => {
      const answer = await as('POST', PROMPTS, { body: body({ ...texts, variables }), headers: { 'accept-language': 'en' } });
      refusedFields(answer, 'variables');
      return answer.body.error.details.fields.variables[0];
    };
    assert.match(await problems(['a']), /used but not declared: b/);
    assert.match(await problems(['a', 'b', 'c']), /declared but not used: c/);
    assert.deepEqual((await make({ ...texts, variables: ['b', 'a'] })).variables, ['a', 'b']);
  });

  test('what is no template is refused with its field', async () => {
    for (const [field, text] of [
      ['system_prompt', 'x {{a'], ['user_prompt_template', '{{a b}}'], ['user_prompt_template', '{{}}'],
      ['system_prompt', ' '], ['system_prompt', 'x'.repeat(32_001)], ['user_prompt_template', ''],
      ['temperature', -0.1], ['temperature', 2.1], ['top_p', 0], ['max_tokens', 0], ['slug', 'Not a slug'], ['name', ''],
      ['preferred_model_id', randomUUID()], ['category', 'x'.repeat(51)], ['tags', ['']],
    ]) {
      refusedFields(await as('POST', PROMPTS, { body: body({ [field]: text }) }), field);
    }
  });

  test('a name is taken once in an organization, and free in another', async () => {
    const { slug } = await make();
    refused(await as('POST', PROMPTS, { body: body({ slug }) }), 409, 'PROMPT_SLUG_TAKEN');
    assert.equal((await make({ slug }, other.as.admin)).version, 1);
    const twice = fresh();
    const both = await Promise.all([1, 2, 3].map(() => as('POST', PROMPTS, { body: body({ slug: twice }) })));
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409, 409]);
  });
});

describe('including', () => {
  test('a text of another prompt is put in, with its variables', async () => {
    const tone = await make({ slug: fresh('tone'), system_prompt: 'Be {{mood}}.' });
    const made = await make({ system_prompt: `Hello. {{> ${tone.slug}}}`, user_prompt_template: '{{input_text}}' });
    assert.deepEqual(made.variables, ['input_text', 'mood']);
    const { messages } = good(await render(made.id, { variables: { mood: 'kind' }, input_text: 'x' }));
    assert.equal(messages[0].content, 'Hello. Be kind.');
  });

  test('one that includes itself, by whatever way, is refused', async () => {
    const slug = fresh('self');
    refusedFields(await as('POST', PROMPTS, { body: body({ slug, system_prompt: `{{> ${slug}}}` }) }), 'system_prompt');
    const one = await make({ slug: fresh('one') });
    const two = await make({ system_prompt: `{{> ${one.slug}}}` });
    refusedFields(await as('PATCH', PROMPT, { id: one.id, body: { system_prompt: `{{> ${two.slug}}}` } }), 'system_prompt');
    refusedFields(await as('POST', PROMPTS, { body: body({ system_prompt: '{{> nobody}}' }) }), 'system_prompt');
    const theirs = await make({}, other.as.admin);
    refusedFields(await as('POST', PROMPTS, { body: body({ system_prompt: `{{> ${theirs.slug}}}` }) }), 'system_prompt');
  });
});

describe('versions', () => {
  test('a new version is made from another one, and serves when it is told to', async () => {
    const first = await make({ user_prompt_template: 'Go {{where}}', temperature: 0.2 });
    const second = await version(first, { user_prompt_template: 'Run {{whence}} {{where}}', notes: 'Faster' });
    assert.deepEqual(
      [second.version, second.parent_id, second.is_active, second.temperature, second.variables, second.notes],
      [2, first.id, false, 0.2, ['whence', 'where'], 'Faster']);
    assert.deepEqual(await activeOf(first.slug), [1]);
    const third = await version(first, { is_active: true });
    assert.equal(third.version, 3);
    assert.deepEqual(await activeOf(first.slug), [3]);
    const all = good(await as('GET', `${PROMPT}/versions`, { id: first.id }));
    assert.deepEqual(all.map((row) => row.version), [3, 2, 1]);
    const latest = good(await as('GET', PROMPTS, { query: { slug: first.slug, latest: true } }));
    assert.deepEqual(latest.map((row) => row.version), [3]);
    good(await as('POST', `${PROMPT}/activate`, { id: second.id, body: {} }));
    assert.deepEqual(await activeOf(first.slug), [2]);
    good(await as('POST', `${PROMPT}/activate`, { id: first.id, body: { beside: true, weight: 25 } }));
    assert.deepEqual(await activeOf(first.slug), [1, 2]);
    assert.equal((await read(first)).weight, 25);
  });

  test('twelve made at once have twelve numbers', async () => {
    const first = await make();
    const made = await Promise.all(Array.from({ length: 12 }, () => version(first)));
    assert.deepEqual(made.map((one) => one.version).sort((a, b) => a - b), Array.from({ length: 12 }, (_, n) => n + 2));
  });

  test('what the model is told does not change once a call was served', async () => {
    const made = await make();
    assert.equal(good(await as('PATCH', PROMPT, { id: made.id, body: { system_prompt: 'Another.' } })).system_prompt, 'Another.');
    await stack.pg.query('UPDATE prompts_master SET usage_count = 1 WHERE id = $1', [made.id]);
    for (const change of [{ system_prompt: 'x' }, { temperature: 1 }, { variables: null }, { max_tokens: 5 }]) {
      refused(await as('PATCH', PROMPT, { id: made.id, body: change }), 409, 'PROMPT_IN_USE');
    }
    assert.equal(good(await as('PATCH', PROMPT, { id: made.id, body: { name: 'Renamed', weight: 7 } })).name, 'Renamed');
  });

  test('a deleted version is gone, and its prompt goes on counting', async () => {
    const first = await make();
    good(await as('DELETE', PROMPT, { id: first.id }), 204);
    refused(await as('GET', PROMPT, { id: first.id }), 404, 'PROMPT_NOT_FOUND');
    refused(await render(first.id, { input_text: 'x' }), 404, 'PROMPT_NOT_FOUND');
    assert.equal((await make({ slug: first.slug })).version, 2);
  });

  test('what differs', async () => {
    const first = await make({ system_prompt: 'One\nTwo\nThree', temperature: 0.1 });
    const second = await version(first, { system_prompt: 'One\n2\nThree', temperature: 0.9 });
    const diff = good(await as('GET', `${PROMPT}/diff`, { id: second.id }));
    assert.deepEqual(diff.system_prompt.map(({ change, text }) => `${change} ${text}`),
      ['same One', 'removed Two', 'added 2', 'same Three']);
    assert.deepEqual(diff.fields, { temperature: { from: 0.1, to: 0.9 } });
    const back = good(await as('GET', `${PROMPT}/diff`, { id: first.id, query: { from: second.id } }));
    assert.deepEqual([back.from_version, back.to_version], [2, 1]);
    refusedFields(await as('GET', `${PROMPT}/diff`, { id: first.id }), 'from');
    refusedFields(await as('GET', `${PROMPT}/diff`, { id: first.id, query: { from: randomUUID() } }), 'from');
  });
});

describe('rendering', () => {
  let prompt;
  before(async () => {
    prompt = await make({ system_prompt: 'In {{language}}.', user_prompt_template: 'Text: {{input_text}}' });
  });

  test('the messages are those that a model would be told; values are never read again', async () => {
    const rendered = good(await render(prompt.id, { variables: { language: '{{input_text}}', input_text: 7 } }));
    assert.deepEqual(rendered.messages, [
      { role: 'system', content: 'In {{input_text}}.' }, { role: 'user', content: 'Text: 7' },
    ]);
    assert.deepEqual([rendered.prompt_id, rendered.slug, rendered.version], [prompt.id, prompt.slug, 1]);
    assert.ok(rendered.estimated_tokens > 0);
    const same = good(await render(prompt.id, { variables: { language: 'x' }, input_text: 'y' }));
    assert.equal(same.messages[1].content, 'Text: y');
    const bare = await make();
    assert.equal(good(await render(bare.id, { input_text: 'Ask' })).messages[1].content, 'Ask');
  });

  test('what is missing or too much is named', async () => {
    for (const [field, wanted] of [
      ['variables', {}], ['variables', { variables: { language: 'x' } }],
      ['variables', { variables: { language: 'x', input_text: 'y', more: 'z' } }],
      ['input_text', { variables: { language: 'x', input_text: 'y' }, input_text: 'z' }],
    ]) refusedFields(await render(prompt.id, wanted), field);
    const bare = await make();
    refusedFields(await render(bare.id), 'input_text');
    const fixed = await make({ user_prompt_template: 'Go' });
    refusedFields(await render(fixed.id, { input_text: 'x' }), 'input_text');
  });
});

describe('whose', () => {
  test('the platform\'s prompts are everybody\'s to read and the super administrator\'s to change', async () => {
    const shared = await make({ shared: true }, root);
    assert.equal(shared.organization_id, null);
    assert.equal(good(await other.as.developer('GET', PROMPT, { id: shared.id })).slug, shared.slug);
    refused(await other.as.admin('PATCH', PROMPT, { id: shared.id, body: { name: 'Mine' } }), 403, 'FORBIDDEN');
    refused(await other.as.admin('DELETE', PROMPT, { id: shared.id }), 403, 'FORBIDDEN');
    refusedFields(await as('POST', PROMPTS, { body: body({ shared: true }) }), 'shared');
    assert.equal(good(await root('PATCH', PROMPT, { id: shared.id, body: { name: 'Ours' } })).name, 'Ours');
    const own = await make({ slug: shared.slug });
    assert.equal(own.organization_id, home.id);
    const mine = good(await as('GET', PROMPTS, { query: { slug: shared.slug, owner: 'organization' } }));
    assert.deepEqual(mine.map(({ id }) => id), [own.id]);
  });

  test('another organization\'s do not exist', async () => {
    const theirs = await make({}, other.as.admin);
    for (const [method, path, more] of [
      ['GET', PROMPT], ['PATCH', PROMPT, { body: { name: 'x' } }], ['DELETE', PROMPT],
      ['POST', `${PROMPT}/versions`, { body: {} }], ['POST', `${PROMPT}/activate`, { body: {} }], ['GET', `${PROMPT}/versions`],
    ]) refused(await as(method, path, { id: theirs.id, ...more }), 404, 'PROMPT_NOT_FOUND');
  });
});
