// Every validation ends in license_validations exactly once.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Edge, address, eventuallyHolds, inParallel, manyAddresses, pause, tally } from './support/edge.mjs';

const shared = await Edge.open();

describe('with everything up', { concurrency: true }, () => {
  const edge = shared;

  test('one row per validation, whatever the verdict, with all that was told', async () => {
    const license = await edge.license({ custom_limits: { max_ips: 1 } });
    const [ip, other] = manyAddresses(2);
    const told = { machine_id: 'M-1', hostname: 'höst', nonce: 'n-1', device_info: { os: 'linux', cores: 8, "o'clock": "'; --" }, agent: 'tests/1.0' };
    await edge.verdict(license.key, { ip, ...told });
    await edge.verdict(license.key, { ip: other, device_info: 'plain text' });
    await edge.verdict(license.key, { ip });
    const [first, second, third] = await edge.wholeLog(license, 3);
    // It has a way of its own into PostgreSQL.
    await eventuallyHolds(async () => assert.equal((await edge.bindings(license)).length, 1));
    const [binding] = await edge.bindings(license);
    assert.equal(binding.ip, ip);
    assert.equal(binding.machine_id, 'M-1');
    assert.equal(binding.hostname, 'höst');
    assert.equal(binding.source, 'auto');
    assert.deepEqual(
      [first.ip, first.is_valid, first.failure_reason, first.ip_binding_id, first.machine_id, first.hostname, first.nonce, first.user_agent],
      [ip, true, null, binding.id, 'M-1', 'höst', 'n-1', 'tests/1.0'],
    );
    assert.deepEqual(first.device_info, told.device_info);
    assert.deepEqual([second.ip, second.is_valid, second.failure_reason, second.device_info], [other, false, 'IP_LIMIT_REACHED', 'plain text']);
    assert.equal(third.ip_binding_id, binding.id);
    assert.ok(third.created_at >= first.created_at);
    assert.equal(binding.last_seen_at.getTime(), third.created_at.getTime());
    const shown = await edge.api('GET', `${license.path}/validations?per_page=10`);
    assert.equal(shown.body.meta.total, 3);
    assert.deepEqual(shown.body.data.map((row) => row.id), [third.id, second.id, first.id]);
  });

  test('hundreds in a burst over three licenses: every one, once', async () => {
    const licenses = [await edge.license(), await edge.license({ status: 'suspended' }), await edge.license({ custom_limits: { max_ips: -1 } })];
    const addresses = manyAddresses(8);
    const calls = Array.from({ length: 450 }, (_, index) => async () => {
      const { status } = await edge.validate(licenses[index % 3].key, { nonce: `v${index}`, ip: addresses[index % 8] });
      assert.equal(status, 200);
    });
    await inParallel(25, calls);
    for (const [offset, license] of licenses.entries()) {
      const rows = await edge.wholeLog(license, 150);
      assert.deepEqual(new Set(rows.map((row) => row.nonce)), new Set(Array.from({ length: 150 }, (_, n) => `v${3 * n + offset}`)));
    }
    assert.equal((await edge.bindings(licenses[0])).length, 5);
    assert.deepEqual(tally((await edge.log(licenses[1])).map((row) => row.failure_reason)), { SUSPENDED: 150 });
  });

  test('rows too large for one message arrive in several', async () => {
    const license = await edge.license();
    const ip = address();
    const calls = Array.from({ length: 90 }, (_, index) => () => edge.verdict(license.key, {
      ip, nonce: `${index}`, device_info: { fingerprint: 'f'.repeat(4000) },
    }));
    await inParallel(25, calls);
    const rows = await edge.wholeLog(license, 90);
    assert.equal(new Set(rows.map((row) => row.nonce)).size, 90);
    assert.ok(rows.every((row) => row.device_info.fingerprint.length === 4000));
  });

  test('keys that name no license leave no row', async () => {
    const counted = async () => Number((await edge.row('SELECT count(*) AS n FROM license_validations WHERE nonce = $1', ['nobody'])).n);
    await edge.validate('nonsense', { nonce: 'nobody' });
    await edge.validate(edge.key(), { nonce: 'nobody' });
    await pause(4000);
    assert.equal(await counted(), 0);
  });

  test('bindings reach PostgreSQL, and the list shows them before that', async () => {
    const license = await edge.license();
    const ips = [...manyAddresses(2), '2001:db8:77:1::5'];
    for (const ip of ips) await edge.verdict(license.key, { ip });
    const shown = await edge.api('GET', `${license.path}/ips`);
    assert.deepEqual(shown.body.data.map((row) => row.ip_address).sort(), [ips[0], ips[1], '2001:db8:77:1::/64'].sort());
    await edge.wholeLog(license, 3);
    const bindings = await edge.bindings(license);
    assert.deepEqual(bindings.map((row) => row.ip), [ips[0], ips[1], '2001:db8:77:1::']);
    assert.equal((await edge.api('GET', `${license.path}/ips`)).body.meta.total, 3, 'mirrored twice, there once');
  });
});
