// The addresses of a license, its collisions, its validation log and its usage.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { caller, eventually, good, refused, refusedFields } from './support/api.mjs';
import { about, sameMoment } from './support/calendar.mjs';
import { sharedStack } from './harness/client.mjs';
import { PLANS, auditOf, createOrganization, eventsOf, insert, insertLicense, rowOf } from './support/world.mjs';

const stack = await sharedStack();
let home;
let call;

before(async () => {
  home = await createOrganization(stack);
  call = home.as.developer;
});

const bind = (id, ip, more = {}) => call('POST', '/api/licenses/{id}/bind-ip', { id, body: { ip_address: ip, ...more } });
const unbind = (id, ip) => call('DELETE', '/api/licenses/{id}/unbind-ip', { id, query: { ip_address: ip } });
const list = async (what, id, query, by = call) => {
  const answer = await by('GET', `/api/licenses/{id}/${what}`, { id, query });
  return Object.assign(good(answer), { meta: answer.body.meta });
};
const validate = async (license, ip, more = {}) => good(await caller(stack)('POST', '/api/licenses/validate', {
  body: { license_key: license.license_key, ip_address: ip, ...more }, headers: { 'cf-connecting-ip': ip },
}));

// What no address looks like.
const IMPOSSIBLE = ['', ' ', 'x', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.4/32', '1.2.3.4:80', ' 1.2.3.4', '01.2.3.4', '1.2.3.-4', '0x1.2.3.4',
  '::g', '1::2::3', 'fe80::1%eth0', '[::1]', '2001:db8::/64', "1.2.3.4' OR '1'='1", '1２.3.4.5', '12345678901234567890'];

describe('bind and unbind', () => {
  test('a binding by hand', async () => {
    const license = await insertLicense(stack, home.id);
    const binding = good(await bind(license.id, '203.0.113.5', { machine_id: 'm-1', hostname: 'build-01' }), 201);
    assert.deepEqual([binding.license_id, binding.ip_address, binding.machine_id, binding.hostname, binding.source, binding.is_active, binding.unbound_at],
      [license.id, '203.0.113.5', 'm-1', 'build-01', 'manual', true, null]);
    about(binding.first_seen_at, Date.now());
    assert.deepEqual([...await list('ips', license.id)], [binding]);
    const verdict = await validate(license, '203.0.113.5');
    assert.deepEqual([verdict.code, verdict.ip.bound, verdict.ip.newly_bound, verdict.remaining_ips], ['VALID', true, false, 4]);
  });

  test('leaves one audit row and one event; so does freeing it', async () => {
    const license = await insertLicense(stack, home.id);
    good(await bind(license.id, '203.0.113.6'), 201);
    good(await unbind(license.id, '203.0.113.6'), 204);
    const audited = await auditOf(stack, license.id);
    assert.deepEqual(audited.map(({ event, action }) => [event, action]), [['license.ip_bound', 'create'], ['license.ip_unbound', 'delete']]);
    assert.equal(audited[0].changes.after.ip_address, '203.0.113.6');
    assert.deepEqual((await eventsOf(stack, license.id)).map(({ topic }) => topic), ['license.ip_bound', 'license.ip_unbound']);
  });

  test('IPv6 counts by its /64, and IPv4 in IPv6 is IPv4', async () => {
    const license = await insertLicense(stack, home.id);
    assert.equal(good(await bind(license.id, '2001:DB8:0:1:2:3:4:5'), 201).ip_address, '2001:db8:0:1::/64');
    refused(await bind(license.id, '2001:db8:0:1::9'), 409, 'IP_ALREADY_BOUND');
    assert.equal(good(await bind(license.id, '::ffff:203.0.113.7'), 201).ip_address, '203.0.113.7');
    refused(await bind(license.id, '203.0.113.7'), 409, 'IP_ALREADY_BOUND');
    good(await unbind(license.id, '2001:db8:0:1:ffff::'), 204);
    good(await bind(license.id, '2001:db8:0:1::9'), 201);
  });

  test('no more than the limit, and a freed slot can be used again', async () => {
    const license = await insertLicense(stack, home.id, { custom_limits: { max_ips: 2 } });
    good(await bind(license.id, '198.51.100.1'), 201);
    good(await bind(license.id, '198.51.100.2'), 201);
    refused(await bind(license.id, '198.51.100.3'), 409, 'IP_LIMIT_REACHED');
    assert.equal((await validate(license, '198.51.100.3')).code, 'IP_LIMIT_REACHED');
    good(await unbind(license.id, '198.51.100.1'), 204);
    assert.equal((await validate(license, '198.51.100.3')).code, 'VALID');
    refused(await bind(license.id, '198.51.100.1'), 409, 'IP_LIMIT_REACHED');
  });

  test('of 20 at the same time exactly the limit is bound', async () => {
    const license = await insertLicense(stack, home.id);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => bind(license.id, `198.51.100.${index + 1}`)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(5).fill(201), ...Array(15).fill(409)]);
    assert.equal((await list('ips', license.id)).length, 5);
  });

  test('unlimited', async () => {
    const license = await insertLicense(stack, home.id, { custom_limits: { max_ips: -1 } });
    for (let index = 1; index <= 8; index += 1) good(await bind(license.id, `198.51.100.${index}`), 201);
    assert.equal((await list('ips', license.id)).meta.total, 8);
  });

  test('an address that a validation bound a moment ago is listed and can be freed', async () => {
    const license = await insertLicense(stack, home.id);
    assert.equal((await validate(license, '198.51.100.20', { machine_id: 'auto-m', hostname: 'auto-h' })).ip.newly_bound, true);
    const [binding] = await list('ips', license.id);
    assert.deepEqual([binding.ip_address, binding.source, binding.machine_id, binding.hostname], ['198.51.100.20', 'auto', 'auto-m', 'auto-h']);
    good(await unbind(license.id, '198.51.100.20'), 204);
    const [freed] = await list('ips', license.id);
    assert.deepEqual([freed.id, freed.is_active], [binding.id, false]);
    assert.equal((await validate(license, '198.51.100.20')).ip.newly_bound, true);
    assert.equal((await list('ips', license.id, { is_active: true })).meta.total, 1);
    assert.equal((await list('ips', license.id, { is_active: false })).meta.total, 1);
  });

  test('what is not bound cannot be freed', async () => {
    const license = await insertLicense(stack, home.id);
    refused(await unbind(license.id, '198.51.100.30'), 404, 'IP_NOT_BOUND');
    good(await bind(license.id, '198.51.100.30'), 201);
    good(await unbind(license.id, '198.51.100.30'), 204);
    refused(await unbind(license.id, '198.51.100.30'), 404, 'IP_NOT_BOUND');
    assert.deepEqual(good(await call('GET', '/api/licenses/{id}/ips', { id: license.id, query: { is_active: true } })), []);
    refused(await call('DELETE', '/api/licenses/{id}/unbind-ip', { id: license.id }), 400, 'INVALID_QUERY');
  });

  test('impossible addresses', async () => {
    const license = await insertLicense(stack, home.id);
    for (const ip of IMPOSSIBLE) {
      refusedFields(await bind(license.id, ip), 'ip_address');
      refusedFields(await unbind(license.id, ip), 'ip_address');
    }
    refusedFields(await bind(license.id, '1'.repeat(65)), 'ip_address');
    for (const ip of [1, null, {}]) refused(await bind(license.id, ip), 400, 'INVALID_BODY');
    refusedFields(await bind(license.id, '198.51.100.31', { machine_id: 'x'.repeat(256) }), 'machine_id');
    assert.equal((await list('ips', license.id)).meta.total, 0);
    assert.deepEqual(await auditOf(stack, license.id), []);
  });

  test('a list of addresses in pages', async () => {
    const license = await insertLicense(stack, home.id, { custom_limits: { max_ips: 100 } });
    for (let index = 0; index < 7; index += 1) {
      await insert(stack, 'license_ip_bindings', {
        license_id: license.id, organization_id: home.id, ip_address: `198.51.100.${index}`, first_seen_at: new Date(Date.UTC(2030, 0, 1 + index)),
      });
    }
    const page = await list('ips', license.id, { page: 2, per_page: 3 });
    assert.deepEqual(page.map(({ ip_address: ip }) => ip), ['198.51.100.3', '198.51.100.2', '198.51.100.1']);
    assert.deepEqual(page.meta, { page: 2, per_page: 3, total: 7, total_pages: 3 });
  });
});

describe('collisions', () => {
  let license;
  let ids;

  before(async () => {
    license = await insertLicense(stack, home.id);
    ids = [];
    for (const [index, severity] of ['low', 'medium', 'high', 'critical', 'low'].entries()) {
      const id = randomUUID();
      ids.push(id);
      await insert(stack, 'license_collisions', {
        id, license_id: license.id, organization_id: home.id, ip_address_a: '198.51.100.1', ip_address_b: '2001:db8::/64', severity,
        address_count: 2 + index, detected_at: new Date(Date.UTC(2030, 0, 1 + index)),
      });
    }
  });

  const resolve = (id, body = {}, of = license.id) => call('POST', '/api/licenses/{id}/collisions/{inner_id}/resolve', { id: of, inner_id: id, body });

  test('latest first, with filters', async () => {
    const all = await list('collisions', license.id);
    assert.deepEqual(all.map(({ id }) => id), ids.toReversed());
    assert.deepEqual([all[0].ip_address_a, all[0].ip_address_b, all[0].collision_type], ['198.51.100.1', '2001:db8::/64', 'concurrent_ip']);
    assert.deepEqual((await list('collisions', license.id, { severity: 'low' })).map(({ id }) => id), [ids[4], ids[0]]);
    assert.deepEqual((await list('collisions', license.id, { per_page: 2, page: 2 })).map(({ id }) => id), [ids[2], ids[1]]);
    for (const query of [{ severity: 'grave' }, { resolved: 'maybe' }]) {
      refused(await call('GET', '/api/licenses/{id}/collisions', { id: license.id, query }), 400, 'INVALID_QUERY');
    }
  });

  test('resolving, and again with other notes', async () => {
    const first = good(await resolve(ids[1], { notes: 'two offices' }));
    assert.deepEqual([first.resolved_by, first.resolution_notes], [home.users.developer, 'two offices']);
    about(first.resolved_at, Date.now());
    const second = good(await resolve(ids[1], { notes: 'moved' }));
    sameMoment(second.resolved_at, first.resolved_at);
    assert.equal(second.resolution_notes, 'moved');
    assert.deepEqual((await list('collisions', license.id, { resolved: true })).map(({ id }) => id), [ids[1]]);
    assert.equal((await list('collisions', license.id, { resolved: false })).meta.total, 4);
    const audited = await auditOf(stack, ids[1]);
    assert.deepEqual(audited.map(({ event }) => event), ['license.collision_resolved', 'license.collision_resolved']);
    assert.deepEqual(Object.keys(audited[0].changes.after).sort(), ['resolution_notes', 'resolved_at', 'resolved_by']);
    assert.deepEqual(audited[1].changes, { before: { resolution_notes: 'two offices' }, after: { resolution_notes: 'moved' } });
  });

  test('bad bodies', async () => {
    refusedFields(await resolve(ids[2], { notes: 'x'.repeat(2001) }), 'notes');
    refused(await resolve(ids[2], { notes: 1 }), 400, 'INVALID_BODY');
    assert.equal((await rowOf(stack, 'license_collisions', ids[2])).resolved_at, null);
  });

  test('validations from two addresses make one, which is published', async () => {
    const shared = await insertLicense(stack, home.id);
    assert.equal((await validate(shared, '203.0.113.20')).collision, null);
    assert.deepEqual((await validate(shared, '203.0.113.21')).collision, { severity: 'low', addresses: 2, window_seconds: 300 });
    const [collision] = await eventually(async () => {
      const found = await list('collisions', shared.id);
      return found.length > 0 && found;
    });
    assert.deepEqual([collision.ip_address_a, collision.ip_address_b].sort(), ['203.0.113.20', '203.0.113.21']);
    assert.deepEqual([collision.severity, collision.address_count, collision.resolved_at], ['low', 2, null]);
    const published = await stack.pg.query("SELECT count(*)::int FROM outbox_messages WHERE topic = 'license.collision' AND payload->>'collision_id' = $1", [collision.id]);
    assert.equal(published.rows[0].count, 1);
  });
});

describe('the validation log', () => {
  const REQUESTS = [
    ['203.0.113.40', { machine_id: 'm', hostname: 'h', nonce: 'n-1', device_info: { os: 'Linux', cores: 8 } }],
    ['203.0.113.41', { device_info: 'a text' }],
    ['2001:db8:7::1', {}],
    ['10.1.1.1', { nonce: 'n-4' }],
  ];
  let license;
  let log;

  before(async () => {
    license = await insertLicense(stack, home.id, { custom_limits: { allowed_cidrs: ['203.0.113.0/24', '2001:db8::/32'] } });
    for (const [ip, more] of REQUESTS) await validate(license, ip, more);
    log = await eventually(async () => {
      const found = await list('validations', license.id);
      return found.length === REQUESTS.length && found;
    });
  });

  test('holds each validation once with what was sent', async () => {
    const byIp = Object.fromEntries(log.map((row) => [row.ip_address, row]));
    assert.deepEqual(Object.keys(byIp).sort(), REQUESTS.map(([ip]) => ip).sort());
    const first = byIp['203.0.113.40'];
    assert.deepEqual([first.is_valid, first.failure_reason, first.machine_id, first.hostname, first.nonce, first.device_info],
      [true, null, 'm', 'h', 'n-1', { os: 'Linux', cores: 8 }]);
    assert.equal(first.license_id, license.id);
    assert.ok(first.connection_ip);
    about(first.created_at, Date.now(), 120);
    assert.equal(byIp['203.0.113.41'].device_info, 'a text');
    assert.deepEqual([byIp['10.1.1.1'].is_valid, byIp['10.1.1.1'].failure_reason, byIp['10.1.1.1'].ip_binding_id], [false, 'IP_NOT_ALLOWED', null]);
    const bindings = await list('ips', license.id);
    assert.equal(first.ip_binding_id, bindings.find(({ ip_address: ip }) => ip === first.ip_address).id);
  });

  test('latest first, with filters', async () => {
    const ips = async (query) => (await list('validations', license.id, query)).map(({ ip_address: ip }) => ip).sort();
    assert.deepEqual(log.map(({ created_at: at }) => at), log.map(({ created_at: at }) => at).sort().reverse());
    assert.deepEqual(await ips({ is_valid: false }), ['10.1.1.1']);
    assert.deepEqual(await ips({ failure_reason: 'IP_NOT_ALLOWED' }), ['10.1.1.1']);
    assert.deepEqual(await ips({ failure_reason: 'SUSPENDED' }), []);
    assert.deepEqual(await ips({ ip_address: '203.0.113.41' }), ['203.0.113.41']);
    assert.deepEqual(await ips({ ip_address: '2001:db8:7::ffff' }), ['2001:db8:7::1']);
    assert.deepEqual(await ips({ created_before: '2020-01-01' }), []);
    assert.equal((await ips({ created_after: '2020-01-01' })).length, REQUESTS.length);
    const page = await list('validations', license.id, { page: 2, per_page: 3 });
    assert.equal(page.length, 1);
    assert.deepEqual(page.meta, { page: 2, per_page: 3, total: 4, total_pages: 2 });
  });

  test('bad filters', async () => {
    const ask = (query) => call('GET', '/api/licenses/{id}/validations', { id: license.id, query });
    for (const ip of IMPOSSIBLE) refusedFields(await ask({ ip_address: ip }), 'ip_address');
    for (const query of [{ is_valid: 'x' }, { created_after: 'x' }, { limit: 1 }]) refused(await ask(query), 400, 'INVALID_QUERY');
    refusedFields(await ask({ failure_reason: 'x'.repeat(51) }), 'failure_reason');
  });

  test('a key that is no key is nobody\'s and is not logged', async () => {
    const { rows: [{ count }] } = await stack.pg.query('SELECT count(*)::int FROM license_validations WHERE organization_id = $1', [home.id]);
    const [rest, last] = [license.license_key.slice(0, -1), license.license_key.at(-1)];
    const answer = await caller(stack)('POST', '/api/licenses/validate', { body: { license_key: `${rest}${last === '2' ? '3' : '2'}` } });
    assert.equal(good(answer).code, 'INVALID_KEY');
    const after = await stack.pg.query('SELECT count(*)::int FROM license_validations WHERE organization_id = $1', [home.id]);
    assert.equal(after.rows[0].count, count);
  });
});

describe('usage', () => {
  const start = new Date(Date.now() - 3 * 86_400_000);

  test('the running period, the past ones and the limits', async () => {
    const license = await insertLicense(stack, home.id, {
      plan_id: PLANS.professional, custom_limits: { max_users: 99 }, current_period_start: start,
      current_period_end: new Date(+start + 30 * 86_400_000), ai_requests_used: 12, storage_used_bytes: 3_000_000_000,
    });
    for (const [at, validations] of [[start, 2], [new Date(+start - 30 * 86_400_000), 7]]) {
      await insert(stack, 'license_usage_counts', { license_id: license.id, organization_id: home.id, period_start: at, validations });
    }
    for (let month = 0; month < 26; month += 1) {
      await insert(stack, 'license_usage_log', {
        license_id: license.id, organization_id: home.id, period_start: new Date(Date.UTC(2020, month, 1)), period_end: new Date(Date.UTC(2020, month + 1, 1)),
        ai_requests_count: month, calculated_cost: '1.2345',
      });
    }
    const usage = good(await call('GET', '/api/licenses/{id}/usage', { id: license.id }));
    assert.equal(usage.license_id, license.id);
    assert.deepEqual([usage.limits.max_users, usage.limits.max_storage_gb], [99, 100]);
    assert.deepEqual([usage.current.ai_requests_count, usage.current.storage_bytes, usage.current.validations_count], [12, 3_000_000_000, 2]);
    sameMoment(usage.current.period_start, start);
    assert.equal(usage.history.length, 24);
    assert.deepEqual([usage.history[0].ai_requests_count, usage.history.at(-1).ai_requests_count, usage.history[0].calculated_cost], [25, 2, 1.2345]);
  });

  test('of a license that has no period yet', async () => {
    const license = await insertLicense(stack, home.id);
    const usage = good(await call('GET', '/api/licenses/{id}/usage', { id: license.id }));
    assert.deepEqual(usage.history, []);
    assert.equal(usage.current.validations_count, 0);
    sameMoment(usage.current.period_start, license.starts_at);
  });
});
