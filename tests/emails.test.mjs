// E-mails on their way from the outbox to the provider, which is a server of this file.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { invitationTo } from './support/invitations.mjs';
import { createOrganization, rowOf } from './support/world.mjs';

const KEY = `re_${randomUUID()}`;
const FROM = 'CELAEST <no-reply@celaest.example>';
const SWEEP = '* * * * *';

let stack;
let home;
let provider;

before(async () => {
  provider = await startProvider();
  stack = await startStack({
    vars: { EMAIL_API_URL: provider.url, EMAIL_API_KEY: KEY, EMAIL_FROM: FROM, DASHBOARD_URL: 'https://dash.example/' },
  });
  home = await createOrganization(stack, { roles: ['super_admin'] });
});
after(async () => {
  await stack?.stop();
  await provider?.close();
});

/** The far end: answers what `plan` says for an address, 200 otherwise, and keeps what it was sent. */
async function startProvider() {
  const requests = [];
  const plans = new Map();
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const entry = { method: request.method, path: request.url, headers: request.headers, body: JSON.parse(text), at: Date.now() };
    requests.push(entry);
    const [status, body, headers] = plans.get(entry.body.to)?.shift() ?? [200, { id: randomUUID() }, {}];
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/emails`,
    plan: (to, ...answers) => plans.set(to, answers),
    to: (address) => requests.filter(({ body }) => body.to === address),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** Puts an e-mail into the outbox, as a committed change leaves it there; returns its row's id. */
async function post(mail, { age = 11 } = {}) {
  const id = randomUUID();
  const payload = { id, organization_id: home.id, locale: 'es', template: 'invitation', data: {}, ...mail };
  await stack.pg.query(
    `INSERT INTO outbox_messages (id, organization_id, topic, payload, created_at, available_at)
     SELECT $1, $2, 'email.send', $3, at, at FROM (SELECT now() - make_interval(secs => $4) AS at) AS t`,
    [id, home.id, payload, age]);
  return id;
}

const address = () => `${randomUUID()}@people.example`;
const sweep = () => stack.triggerCron(SWEEP);
const isDone = async (id) => (await rowOf(stack, 'outbox_messages', id)).processed_at !== null;
const done = (id, patience) => eventually(() => isDone(id), patience);

/** What was written down of an e-mail that will never be sent. */
async function failures(id) {
  const { rows } = await stack.pg.query(
    `SELECT severity, source, message, details FROM system_events WHERE event_type = 'email.failed' AND details->>'message_id' = $1`, [id]);
  return rows;
}

describe('an e-mail is handed over', () => {
  test('as the provider wants it, in the recipient\'s language', async () => {
    const [es, en] = [address(), address()];
    const data = { organization: 'Acme & Söhne', inviter: 'Ana', name: 'Bea' };
    const ids = [await post({ to: es, data }), await post({ to: en, locale: 'en-US', data })];
    await sweep();
    for (const id of ids) await done(id);
    const [[first, ...rest], [second]] = [provider.to(es), provider.to(en)];
    assert.deepEqual(rest, []);
    assert.deepEqual([first.method, first.path], ['POST', '/emails']);
    assert.equal(first.headers.authorization, `Bearer ${KEY}`);
    assert.equal(first.headers['idempotency-key'], ids[0]);
    assert.match(first.headers['content-type'], /^application\/json/);
    const { subject, text, html, ...envelope } = first.body;
    assert.deepEqual(envelope, { from: FROM, to: es });
    assert.equal(subject, 'Invitación a Acme & Söhne en CELAEST');
    assert.ok(text.includes('Hola, Bea:') && text.includes('Ana le ha invitado') && text.includes('https://dash.example'));
    assert.ok(html.includes('Acme &amp; Söhne') && html.includes('lang="es"') && html.includes('href="https://dash.example"'));
    assert.equal(second.body.subject, 'Invitation to Acme & Söhne on CELAEST');
    assert.ok(second.body.text.includes('Hello Bea,') && second.body.html.includes('lang="en"'));
  });

  test('with what people wrote as text, whatever they wrote', async () => {
    const to = address();
    const id = await post({
      to, locale: 'en',
      data: { organization: '<img src=x onerror=alert(1)>\r\nBcc: all@example.com', inviter: '"><script>', url: 'javascript:alert(1)' },
    });
    await sweep();
    await done(id);
    const [{ body }] = provider.to(to);
    assert.ok(!/[\r\n]/.test(body.subject));
    assert.ok(!/<img|<script|javascript:/.test(body.html), body.html);
    assert.ok(!body.text.includes('javascript:'));
  });

  test('with a link that only its recipient learns', async () => {
    const to = address();
    const user = good(await home.as.super_admin('POST', '/api/users', { body: { email: to, locale: 'en' } }), 201);
    const { url, token } = await invitationTo(stack, to);
    assert.equal(`${url.origin}${url.pathname}`, 'https://dash.example/invitation');
    await eventually(() => provider.to(to).length === 1);
    const [{ body }] = provider.to(to);
    assert.ok(body.text.includes(url.href) && body.text.includes('seven days'));
    assert.ok(body.html.includes(url.href.replaceAll('&', '&amp;')));
    assert.ok(!stack.logs().includes(token));
    assert.equal(user.status, 'invited');
  });

  test('that a webhook was disabled, with the reason', async () => {
    const to = address();
    const id = await post({ to, template: 'webhook_disabled', data: { name: 'ERP', address: 'https://erp.example/in', reason: 'gone' } });
    await sweep();
    await done(id);
    const [{ body }] = provider.to(to);
    assert.equal(body.subject, 'Webhook desactivado: ERP');
    assert.ok(body.text.includes('410') && body.text.includes('https://erp.example/in'));
    assert.ok(body.text.includes('https://dash.example/settings/webhooks'));
  });

  test('once, however often it is sent on its way', async () => {
    const to = address();
    const id = await post({ to });
    await Promise.all([sweep(), sweep(), sweep()]);
    await done(id);
    await sweep();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const keys = new Set(provider.to(to).map(({ headers }) => headers['idempotency-key']));
    assert.deepEqual([...keys], [id], 'whatever arrives twice has the same key');
  });

  test('later, with the same key, when the provider is busy or broken', async () => {
    const [busy, broken] = [address(), address()];
    provider.plan(busy, [429, { name: 'rate_limit_exceeded' }, { 'retry-after': '12' }]);
    provider.plan(broken, [500, {}], [503, {}]);
    const ids = [await post({ to: busy }), await post({ to: broken })];
    await sweep();
    for (const id of ids) await done(id, 120_000);
    const [first, second, ...more] = provider.to(busy);
    assert.deepEqual(more, []);
    assert.ok(second.at - first.at >= 12_000, 'not before the provider wants it');
    assert.equal(provider.to(broken).length, 3);
    for (const to of [busy, broken]) {
      const sent = provider.to(to);
      assert.equal(new Set(sent.map(({ headers, body }) => JSON.stringify([headers['idempotency-key'], body]))).size, 1);
    }
    assert.deepEqual([await failures(ids[0]), await failures(ids[1])], [[], []]);
  });
});

describe('an e-mail that nobody can send', () => {
  test('is given up once the provider refuses it, and written down without what was in it', async () => {
    const to = address();
    provider.plan(to, [422, { name: 'validation_error', message: `Invalid \`to\`: ${to}` }]);
    const id = await post({ to, data: { organization: 'Confidential Ltd', inviter: 'Secret Person' } });
    await sweep();
    await done(id);
    assert.equal(provider.to(to).length, 1);
    const [{ details, ...row }, ...more] = await failures(id);
    assert.deepEqual(more, []);
    assert.deepEqual(row, { severity: 'error', source: 'emails', message: 'An e-mail could not be sent' });
    assert.deepEqual(details, {
      reason: 'refused', status: 422, problem: 'validation_error', template: 'invitation', message_id: id, organization_id: home.id,
    });
    const logs = stack.logs();
    for (const word of [to, 'Confidential', 'Secret Person', KEY]) assert.ok(!logs.includes(word), word);
    assert.ok(logs.includes(id));
  });

  test('nor is one sent without a text of its own, or of which nobody knows whom to', async () => {
    const ids = [
      await post({ to: address(), template: 'no_such_template' }),
      await post({ to: null }),
      await post({ to: address() }, { age: 4 * 86_400 }),
    ];
    provider.plan((await rowOf(stack, 'outbox_messages', ids[2])).payload.to, [500, {}]);
    await sweep();
    for (const id of ids) await done(id);
    const reasons = await Promise.all(ids.map(async (id) => (await failures(id))[0].details.reason));
    assert.deepEqual(reasons, ['unknown template', 'malformed', 'too late']);
  });

  test('waits in the outbox when the queue has tried long enough', async () => {
    const to = address();
    provider.plan(to, [500, {}]);
    const id = await post({ to }, { age: 16 * 60 });
    await sweep();
    await eventually(() => provider.to(to).length === 1);
    await eventually(() => stack.logs().split('\n').some((line) => line.includes('waits in the outbox') && line.includes(id)));
    assert.equal(await isDone(id), false);
    await stack.pg.query("UPDATE outbox_messages SET available_at = now() WHERE id = $1", [id]);
    await sweep();
    await done(id);
    assert.equal(provider.to(to).length, 2);
  });
});

test('settings win over variables', async () => {
  const to = address();
  const key = `re_${randomUUID()}`;
  const set = (body) => home.as.super_admin('PATCH', '/api/settings', { body });
  good(await set({ 'email.from': 'desk@acme.example', 'email.api_key': key }));
  const id = await post({ to });
  await sweep();
  await done(id);
  const [{ headers, body }] = provider.to(to);
  assert.deepEqual([headers.authorization, body.from], [`Bearer ${key}`, 'desk@acme.example']);
  assert.ok(!stack.logs().includes(key));
  good(await set({ 'email.from': null, 'email.api_key': null }));
});

// Last, because the worker is another one after it.
test('without a provider the log names the text, and nothing of what is in it', async () => {
  await stack.restart({ vars: { EMAIL_API_KEY: null } });
  const to = address();
  const id = await post({ to, data: { organization: 'Confidential Inc' } });
  await sweep();
  await done(id);
  assert.deepEqual(provider.to(to), []);
  const line = stack.logs().split('\n').find((text) => text.includes('no provider is configured') && text.includes(id));
  assert.ok(line.includes('"template":"invitation"'));
  assert.ok(!stack.logs().includes(to) && !stack.logs().includes('Confidential Inc'));
});
