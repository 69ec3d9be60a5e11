// What a validation answers, and what it costs.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ACME, Edge, PLANS, PRODUCT, address, inHours, manyAddresses, pause } from './support/edge.mjs';
import { insertApiKey } from './support/tokens.mjs';
import { createOrganization } from './support/world.mjs';

const edge = await Edge.open();

const ELSEWHERE = ['203.0.113.0/24'];
const SECRETS = [ACME, 'professional', 'Acme', 'notes to myself', '203.0.113', 'organization', 'plan'];

/** Asserts that a refusal says what it must and nothing about the tenant. */
function refused(data, code) {
  assert.equal(data.code, code);
  assert.equal(data.valid, false);
  assert.equal(data.license, null);
  assert.equal(typeof data.reason, 'string');
  assert.equal(data.ip.bound, false);
  assert.equal(data.ip.newly_bound, false);
  const { nonce, ip, ...rest } = data;
  const text = JSON.stringify(rest);
  for (const secret of SECRETS) assert.ok(!text.includes(secret), `${code} tells ${secret}: ${text}`);
  assert.deepEqual(
    Object.keys(data).sort(),
    ['checked_at', 'code', 'collision', 'ip', 'license', 'nonce', 'reason', 'remaining_ips', 'valid'],
  );
}

describe('codes', () => {
  test('INVALID_KEY touches neither object nor database', async () => {
    const good = edge.key();
    const wrongChecksum = good.slice(0, -1) + (good.endsWith('0') ? '1' : '0');
    const keys = [
      '', 'x', 'CELAEST', wrongChecksum, `${good}0`, `${good}.`, good.replace('CELAEST', 'CELEAST'),
      good.replaceAll('-', '_'), edge.key().replace('MKT', 'CRM'), 'CELAEST-MKT-ILOUILOU-0000',
      "CELAEST-MKT-'; DROP TABLE licenses;--", 'Ω'.repeat(30), 'a'.repeat(128),
    ];
    for (const key of keys) {
      const answer = await edge.validate(key, { nonce: 'n' });
      assert.equal(answer.status, 200, JSON.stringify([key, answer.body]));
      refused(answer.body.data, 'INVALID_KEY');
      assert.equal(answer.body.data.nonce, 'n');
      assert.deepEqual(answer.counts, { db: 0, do: 0 }, key);
    }
  });

  test('NOT_FOUND is remembered for a while and forgotten with a change through the API', async () => {
    const key = edge.key();
    const cold = await edge.validate(key);
    refused(cold.body.data, 'NOT_FOUND');
    assert.deepEqual(cold.counts, { db: 1, do: 2 });
    const warm = await edge.validate(key);
    refused(warm.body.data, 'NOT_FOUND');
    assert.deepEqual(warm.counts, { db: 0, do: 1 });

    const license = await edge.license({ license_key: key });
    assert.equal(await edge.code(key), 'NOT_FOUND', 'nobody told the edge yet');
    await edge.api('PATCH', license.path, { notes: 'now it is there' });
    assert.equal(await edge.code(key), 'VALID');
  });

  test('a created license is valid at once, and creating tells its object', async () => {
    await edge.known();
    const created = await edge.api('POST', '/api/licenses', { plan_id: PLANS.starter }, 201);
    // One object call knows the caller, one says that the license is coming, one that it is there.
    assert.equal(created.counts.do, 3);
    assert.equal(await edge.code(created.body.data.license_key), 'VALID');
  });

  test('of everything wrong with a license, the first in the order is answered', async () => {
    const archived = await edge.product({ status: 'archived' });
    const ip = address();
    const limits = { max_ips: 1, allowed_cidrs: ELSEWHERE };
    const wrong = { product_id: archived, custom_limits: limits, notes: 'notes to myself' };
    const past = { starts_at: inHours(-48), expires_at: inHours(-1) };
    const trialOver = { trial_ends_at: inHours(-2) };
    const ladder = [
      ['CANCELLED', { ...wrong, ...past, ...trialOver, status: 'cancelled' }],
      ['CANCELLED', { ...wrong, starts_at: inHours(1), status: 'cancelled' }],
      ['SUSPENDED', { ...wrong, ...past, ...trialOver, status: 'suspended' }],
      ['SUSPENDED', { ...wrong, starts_at: inHours(1), status: 'suspended' }],
      ['NOT_STARTED', { ...wrong, ...trialOver, starts_at: inHours(1), status: 'expired' }],
      ['NOT_STARTED', { ...wrong, ...trialOver, starts_at: inHours(1), status: 'trial' }],
      ['EXPIRED', { ...wrong, ...trialOver, status: 'expired' }],
      ['EXPIRED', { ...wrong, ...past, ...trialOver, status: 'trial' }],
      ['EXPIRED', { ...wrong, ...past, status: 'active' }],
      ['TRIAL_EXPIRED', { ...wrong, ...trialOver, status: 'trial' }],
      ['PRODUCT_INACTIVE', { ...wrong }],
      ['IP_NOT_ALLOWED', { custom_limits: limits }],
      ['IP_LIMIT_REACHED', { custom_limits: { max_ips: 1 } }],
      ['VALID', { custom_limits: { max_ips: 2 } }],
      ['VALID', { custom_limits: { max_ips: 2 }, status: 'trial', trial_ends_at: inHours(2) }],
      // Only a trial has an end of trial that counts.
      ['VALID', { custom_limits: { max_ips: 2 }, ...trialOver }],
    ];
    for (const [code, fields] of ladder) {
      const license = await edge.license(fields);
      await edge.bind(license, ['192.0.2.200']);
      const data = await edge.verdict(license.key, { ip });
      assert.equal(data.code, code, JSON.stringify(fields));
      if (code !== 'VALID') refused(data, code);
      assert.equal(data.remaining_ips, { VALID: 0, IP_LIMIT_REACHED: 0 }[code] ?? null);
    }
  });

  test('PRODUCT_INACTIVE for every product that is not on offer', async () => {
    const cases = [{ status: 'draft' }, { status: 'archived' }, { status: 'coming_soon' }, { deleted_at: new Date() }];
    for (const fields of cases) {
      const license = await edge.license({ product_id: await edge.product(fields) });
      assert.equal(await edge.code(license.key), 'PRODUCT_INACTIVE', JSON.stringify(fields));
    }
    const offered = await edge.license({ product_id: await edge.product() });
    assert.equal(await edge.code(offered.key), 'VALID');
  });

  test('a valid answer shows the license, without the tenant and its defences', async () => {
    const license = await edge.license({
      product_id: PRODUCT,
      custom_limits: { max_ips: 3, max_users: 99, allowed_cidrs: ['198.18.0.0/15'], collision_threshold: 4, collision_auto_revoke: true },
      metadata: { seat: 'blue' },
      notes: 'notes to myself',
    });
    const data = await edge.verdict(license.key);
    assert.equal(data.valid, true);
    assert.equal(data.reason, null);
    assert.equal(data.license.id, license.id);
    assert.equal(data.license.status, 'active');
    assert.equal(data.license.plan.code, 'professional');
    assert.equal(data.license.product.code, 'MKT');
    assert.equal(data.license.limits.max_ips, 3);
    assert.equal(data.license.limits.max_users, 99);
    assert.deepEqual(data.license.metadata, { seat: 'blue' });
    for (const secret of [ACME, 'notes to myself', 'allowed_cidrs', 'collision_threshold', 'collision_auto_revoke', license.key]) {
      assert.ok(!JSON.stringify(data).includes(secret), `tells ${secret}`);
    }
  });

  test('the key is read in any case', async () => {
    const license = await edge.license();
    const ip = address();
    assert.equal((await edge.verdict(license.key.toLowerCase(), { ip })).ip.newly_bound, true);
    assert.equal((await edge.verdict(license.key, { ip })).ip.newly_bound, false);
  });
});

describe('cost', () => {
  test('cold is one read, warm is one object call and no SQL', async () => {
    const license = await edge.license();
    const ip = address();
    const cold = await edge.validate(license.key, { ip });
    assert.equal(cold.body.data.code, 'VALID');
    assert.deepEqual(cold.counts, { db: 1, do: 2 });
    for (const other of [ip, ip, address(), ...manyAddresses(5)]) {
      const warm = await edge.validate(license.key, { ip: other });
      assert.deepEqual(warm.counts, { db: 0, do: 1 }, warm.body.data.code);
    }
  });

  test('refusals are as cheap as the rest', async () => {
    const license = await edge.license({ status: 'suspended' });
    assert.deepEqual((await edge.validate(license.key)).counts, { db: 1, do: 2 });
    assert.deepEqual((await edge.validate(license.key)).counts, { db: 0, do: 1 });
  });
});

describe('the answer', () => {
  test('brings the nonce back as it came, and the time', async () => {
    const license = await edge.license();
    for (const nonce of ['abc', '', 'ñ "quoted" \\ \u{1F511} \t', 'x'.repeat(255)]) {
      const before = Date.now();
      const data = await edge.verdict(license.key, { nonce });
      assert.equal(data.nonce, nonce);
      const at = Date.parse(data.checked_at);
      assert.match(data.checked_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.ok(at >= before - 2000 && at <= Date.now() + 2000, data.checked_at);
    }
    assert.equal((await edge.verdict(license.key)).nonce, null);
  });

  test('gives the reason in Spanish, or in English when asked', async () => {
    const license = await edge.license({ status: 'suspended' });
    const reason = async (key, lang) => (await edge.verdict(key, { lang })).reason;
    assert.equal(await reason(license.key), 'La licencia está suspendida');
    assert.equal(await reason(license.key, 'en-GB,en;q=0.9'), 'The license is suspended');
    assert.equal(await reason(license.key, 'en;q=0.4, es;q=0.3'), 'The license is suspended');
    assert.equal(await reason(license.key, 'fr, es;q=0.9, en;q=0.1'), 'La licencia está suspendida');
    assert.equal(await reason('nonsense', 'en'), 'The license key is not valid');
    assert.equal(await reason('nonsense'), 'La clave de licencia no es válida');
    assert.equal(await reason(edge.key(), 'en'), 'The license does not exist');
  });
});

describe('addresses', { concurrency: true }, () => {
  test('bound newly, then bound; five slots; the sixth address is refused', async () => {
    const license = await edge.license();
    const ips = manyAddresses(5);
    for (const [index, ip] of ips.entries()) {
      const data = await edge.verdict(license.key, { ip });
      assert.deepEqual(data.ip, { address: ip, bound: true, newly_bound: true });
      assert.equal(data.remaining_ips, 4 - index);
    }
    const again = await edge.verdict(license.key, { ip: ips[2] });
    assert.deepEqual(again.ip, { address: ips[2], bound: true, newly_bound: false });
    assert.equal(again.remaining_ips, 0);
    const sixth = await edge.verdict(license.key, { ip: address() });
    refused(sixth, 'IP_LIMIT_REACHED');
    assert.equal(sixth.remaining_ips, 0);
    assert.equal(await edge.code(license.key, { ip: ips[0] }), 'VALID', 'a full license still works where it is bound');
  });

  test('max_ips overrides, -1 is unlimited', async () => {
    const two = await edge.license({ custom_limits: { max_ips: 2 } });
    assert.equal((await edge.verdict(two.key)).remaining_ips, 1);
    assert.equal((await edge.verdict(two.key)).remaining_ips, 0);
    assert.equal(await edge.code(two.key), 'IP_LIMIT_REACHED');

    const any = await edge.license({ custom_limits: { max_ips: -1 } });
    for (const ip of manyAddresses(12)) {
      const data = await edge.verdict(any.key, { ip });
      assert.equal(data.remaining_ips, -1);
      assert.equal(data.ip.newly_bound, true);
    }

    const none = await edge.license({ custom_limits: { max_ips: 0 } });
    assert.equal(await edge.code(none.key), 'IP_LIMIT_REACHED');
  });

  test('IPv6 counts by /64, and mapped IPv4 is IPv4', async () => {
    const license = await edge.license({ custom_limits: { max_ips: 3 } });
    const seen = async (ip) => {
      const data = await edge.verdict(license.key, { ip });
      return [data.code, data.ip.address, data.ip.newly_bound, data.remaining_ips];
    };
    assert.deepEqual(await seen('2001:DB8:0:1::1'), ['VALID', '2001:db8:0:1::1', true, 2]);
    assert.deepEqual(await seen('2001:db8:0:1:ffff:ffff:ffff:ffff'), ['VALID', '2001:db8:0:1:ffff:ffff:ffff:ffff', false, 2]);
    assert.deepEqual(await seen('2001:db8:0:2::1'), ['VALID', '2001:db8:0:2::1', true, 1]);
    assert.deepEqual(await seen('192.0.2.7'), ['VALID', '192.0.2.7', true, 0]);
    assert.deepEqual(await seen('::ffff:192.0.2.7'), ['VALID', '192.0.2.7', false, 0]);
    assert.equal(await edge.code(license.key, { ip: '2001:db8:0:3::1' }), 'IP_LIMIT_REACHED');
  });

  test('allowed_cidrs restricts to its networks, and inside them nothing collides', async () => {
    const license = await edge.license({ custom_limits: { allowed_cidrs: ['203.0.113.0/28', '2001:db8:aa::/48'] } });
    for (const from of ['203.0.113.1', '203.0.113.15', '2001:db8:aa:7::9']) {
      const data = await edge.verdict(license.key, { from });
      assert.equal(data.code, 'VALID', from);
      assert.equal(data.collision, null);
    }
    for (const from of ['203.0.113.16', '203.0.112.1', '2001:db8:ab::1', '::1']) {
      refused(await edge.verdict(license.key, { from }), 'IP_NOT_ALLOWED');
      // To say that one is inside is not enough.
      refused(await edge.verdict(license.key, { from, ip: '203.0.113.1' }), 'IP_NOT_ALLOWED');
    }
  });

  test('bindings that PostgreSQL knows count from the first validation on', async () => {
    const license = await edge.license({ custom_limits: { max_ips: 2 } });
    await edge.bind(license, ['192.0.2.10', '2001:db8:5:5::1']);
    assert.deepEqual((await edge.verdict(license.key, { ip: '2001:db8:5:5::2' })).ip.newly_bound, false);
    assert.deepEqual((await edge.verdict(license.key, { ip: '192.0.2.10' })).ip.newly_bound, false);
    assert.equal(await edge.code(license.key, { ip: '192.0.2.11' }), 'IP_LIMIT_REACHED');
  });

  test('which address counts: the license, its plan or the system says so; both are recorded', async () => {
    const license = await edge.license({ custom_limits: { address_source: 'connection', max_ips: 1 } });
    const [one, two, named] = manyAddresses(3);
    assert.equal((await edge.verdict(license.key, { from: one, ip: named })).ip.address, one);
    const second = await edge.verdict(license.key, { from: two, ip: named });
    refused(second, 'IP_LIMIT_REACHED');
    assert.equal(second.collision.addresses, 2, 'what they name does not hide that they are two');
    const rows = await edge.wholeLog(license, 2);
    assert.deepEqual(rows.map((row) => [row.ip, row.connection_ip]), [[named, one], [named, two]]);

    await edge.api('PATCH', license.path, { custom_limits: { address_source: 'reported' } });
    assert.equal((await edge.verdict(license.key, { from: two, ip: named })).ip.address, named);
    const wrong = await edge.tryApi('PATCH', license.path, { custom_limits: { address_source: 'guessed' } });
    assert.equal(wrong.status, 400);
  });

  test('a server of the vendor speaks for its customers, nobody else does', async () => {
    const license = await edge.license({ custom_limits: { address_source: 'connection', allowed_cidrs: ['192.0.2.0/24'] } });
    const { key } = await insertApiKey(edge.stack.pg, edge.stack.vars, { user: edge.userId, organization: ACME, scopes: ['licenses:validate'] });
    const { key: reader } = await insertApiKey(edge.stack.pg, edge.stack.vars, { user: edge.userId, organization: ACME, scopes: ['licenses:read'] });
    const stranger = await createOrganization(edge.stack, { roles: ['admin'] });
    const { key: other } = await insertApiKey(edge.stack.pg, edge.stack.vars, { user: stranger.users.admin, organization: stranger.id });
    const ask = (credential) => edge.nobody('POST', '/api/licenses/validate', {
      body: { license_key: license.key, ip_address: '192.0.2.77' }, headers: { 'cf-connecting-ip': address(), ...credential },
    });
    const answer = await ask({ 'x-api-key': key });
    assert.deepEqual([answer.body.data.code, answer.body.data.ip.address], ['VALID', '192.0.2.77']);
    assert.deepEqual((await ask({ 'x-api-key': key })).counts, { db: 0, do: 2 }, 'who it is, and the license');
    refused((await ask({ 'x-api-key': reader })).body.data, 'IP_NOT_ALLOWED');
    refused((await ask({ 'x-api-key': other })).body.data, 'IP_NOT_ALLOWED');
    refused((await ask({})).body.data, 'IP_NOT_ALLOWED');
    assert.equal((await ask({ 'x-api-key': `${key.slice(0, -1)}${key.endsWith('x') ? 'y' : 'x'}` })).status, 401);
    const batch = await edge.nobody('POST', '/api/licenses/batch-validate', {
      body: { items: [{ license_key: license.key, ip_address: '192.0.2.78' }] }, headers: { 'x-api-key': key },
    });
    assert.equal(batch.body.data[0].verdict.code, 'VALID');
  });

  test('a key is read as people type it', async () => {
    const license = await edge.license();
    const spoken = license.key.replaceAll('-', ' ').toLowerCase();
    const pasted = `${license.key.replaceAll('-', '\u2013')}\u00a0\r\n`;
    for (const typed of [spoken, license.key.replaceAll('-', ''), ` ${license.key} `, pasted, license.key.replaceAll('-', ' \u2014 ')]) {
      assert.equal(await edge.code(typed), 'VALID', typed);
    }
  });

  test('the connection counts where no address is named; both are recorded', async () => {
    const license = await edge.license();
    const [one, two, named] = manyAddresses(3);
    assert.equal((await edge.verdict(license.key, { from: one })).ip.address, one);
    assert.equal((await edge.verdict(license.key, { from: two, ip: named })).ip.address, named);
    const rows = await edge.wholeLog(license, 2);
    assert.deepEqual(rows.map((row) => [row.ip, row.connection_ip]), [[one, one], [named, two]]);
  });
});

describe('every change is seen by the very next validation', { concurrency: true }, () => {
  test('revoke, reactivate, limits, plan, expiry, renewal, bindings, cancellation', async () => {
    const license = await edge.license({ billing_cycle: 'monthly' });
    const [home, away] = manyAddresses(2);
    const next = (ip = home) => edge.verdict(license.key, { ip });
    const patch = (body) => edge.api('PATCH', license.path, body);
    assert.equal((await next()).code, 'VALID');

    await edge.api('POST', `${license.path}/revoke`, { reason: 'Unpaid' });
    const suspended = await next();
    refused(suspended, 'SUSPENDED');
    assert.ok(!JSON.stringify(suspended).includes('Unpaid'));
    await edge.api('POST', `${license.path}/reactivate`, {});
    assert.deepEqual([(await next()).code, (await next()).ip.newly_bound], ['VALID', false], 'the slot survived');

    await patch({ custom_limits: { max_ips: 3 } });
    assert.equal((await next()).remaining_ips, 2);
    await patch({ custom_limits: { allowed_cidrs: ELSEWHERE } });
    assert.equal((await next()).code, 'IP_NOT_ALLOWED');
    await patch({ custom_limits: null });
    assert.equal((await next()).remaining_ips, 4);

    await patch({ plan_id: PLANS.free, metadata: { edition: 2 } });
    const moved = await next();
    assert.equal(moved.license.plan.code, 'free');
    assert.deepEqual(moved.license.metadata, { edition: 2 });

    await patch({ expires_at: inHours(-1).toISOString() });
    assert.equal((await next()).code, 'EXPIRED');
    await edge.api('POST', `${license.path}/renew`, { months: 2 });
    assert.equal((await next()).code, 'VALID');

    await patch({ custom_limits: { max_ips: 1 } });
    assert.equal((await next(away)).code, 'IP_LIMIT_REACHED');
    await edge.api('DELETE', `${license.path}/unbind-ip?ip_address=${home}`, undefined, 204);
    assert.equal((await next(away)).ip.newly_bound, true);
    assert.equal((await next(home)).code, 'IP_LIMIT_REACHED');
    await edge.api('DELETE', `${license.path}/unbind-ip?ip_address=${away}`, undefined, 204);
    await edge.api('POST', `${license.path}/bind-ip`, { ip_address: home }, 201);
    assert.deepEqual((await next(home)).ip, { address: home, bound: true, newly_bound: false });
    assert.equal((await next(away)).code, 'IP_LIMIT_REACHED');

    await edge.api('DELETE', license.path, undefined, 204);
    refused(await next(), 'CANCELLED');
  });

  test('a product that was archived, a trial that ends', async () => {
    const product = await edge.product();
    const license = await edge.license({ product_id: product, status: 'trial', trial_ends_at: inHours(5) });
    assert.equal(await edge.code(license.key), 'VALID');
    await edge.rows("UPDATE products SET status = 'archived' WHERE id = $1", [product]);
    await edge.api('PATCH', license.path, { notes: 'x' });
    assert.equal(await edge.code(license.key), 'PRODUCT_INACTIVE');
    await edge.api('PATCH', license.path, { trial_ends_at: inHours(-1).toISOString() });
    assert.equal(await edge.code(license.key), 'TRIAL_EXPIRED');
  });

  test('the moment of expiry needs no change at all', async () => {
    const license = await edge.license({ expires_at: new Date(Date.now() + 2500) });
    const ip = address();
    assert.equal(await edge.code(license.key, { ip }), 'VALID');
    await pause(3000);
    const late = await edge.validate(license.key, { ip });
    assert.equal(late.body.data.code, 'EXPIRED');
    assert.equal(late.counts.db, 0);
  });

  test('a slot that was freed stays free, even if nobody asks for days', async () => {
    const license = await edge.license({ custom_limits: { max_ips: 1 } });
    const [before, later] = manyAddresses(2);
    assert.equal((await edge.verdict(license.key, { ip: before })).ip.newly_bound, true);
    await edge.api('DELETE', `${license.path}/unbind-ip?ip_address=${before}`, undefined, 204);
    // Days later.
    await edge.rows("UPDATE license_ip_bindings SET unbound_at = now() - interval '3 days' WHERE license_id = $1", [license.id]);
    assert.equal((await edge.verdict(license.key, { ip: later })).code, 'VALID');
  });
});

describe('bad input', () => {
  const post = (body, headers = {}) => fetch(`${edge.stack.url}/api/licenses/validate`, {
    method: 'POST', body, headers: { 'content-type': 'application/json', 'cf-connecting-ip': address(), ...headers },
  });

  test('is refused with the envelope and touches nothing', async () => {
    const key = edge.key();
    const cases = [
      [400, '{'], [400, ''], [400, '[]'], [400, '"x"'], [400, 'null'], [400, '{}'],
      [400, { license_key: 5 }], [400, { license_key: null }], [400, { license_key: [key] }],
      [400, { license_key: key, extra: 1 }], [400, { license_key: key, nonce: 'a\u0000b' }],
      [400, Buffer.from('{"license_key":"\xff"}', 'latin1')], [400, `{"license_key":"${key}"} trailing`],
      [422, { license_key: 'A'.repeat(10_000) }], [422, { license_key: key, nonce: 'n'.repeat(256) }],
      [422, { license_key: key, machine_id: 'n'.repeat(256) }], [422, { license_key: key, hostname: 'n'.repeat(256) }],
      [422, { license_key: key, device_info: 7 }], [422, { license_key: key, device_info: [1] }],
      [422, { license_key: key, device_info: 'd'.repeat(4100) }],
      ...['', 'x', '1.2.3', '1.2.3.256', '1.2.3.4/32', '1.2.3.4:80', '[::1]', 'fe80::1%eth0', ' 1.2.3.4', '1'.repeat(65), "1.1.1.1'--"]
        .map((ip_address) => [422, { license_key: key, ip_address }]),
    ];
    for (const [status, body] of cases) {
      const raw = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const answer = await post(raw);
      const told = await answer.json();
      assert.equal(answer.status, status, `${raw}: ${JSON.stringify(told)}`);
      assert.equal(told.success, false);
      assert.ok(told.error.code && told.error.message && told.error.request_id);
      assert.match(answer.headers.get('server-timing'), /db;desc="0", do;desc="0"/);
    }
  });

  test('a body over 16 KB is 413, announced or not', async () => {
    const large = JSON.stringify({ license_key: 'x', hostname: 'h'.repeat(16 * 1024) });
    assert.equal((await post(large)).status, 413);
    assert.equal((await post('x'.repeat(2 * 1024 * 1024))).status, 413);
    const stream = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 20; index += 1) controller.enqueue(new TextEncoder().encode(' '.repeat(1024)));
        controller.close();
      },
    });
    const answer = await fetch(`${edge.stack.url}/api/licenses/validate`, {
      method: 'POST', body: stream, duplex: 'half', headers: { 'content-type': 'application/json', 'cf-connecting-ip': address() },
    });
    assert.equal(answer.status, 413);
    assert.equal((await answer.json()).error.code, 'BODY_TOO_LARGE');
  });
});
