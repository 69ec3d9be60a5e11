// One key from several addresses within five minutes.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Edge, eventuallyHolds, manyAddresses, pause, tally } from './support/edge.mjs';

const edge = await Edge.open();

const UNLIMITED = { max_ips: -1 };

/** The collisions of a license once there are `count`, and a moment later still. */
async function settled(license, count) {
  await eventuallyHolds(async () => assert.equal((await edge.collisions(license)).length, count));
  await pause(1500);
  const rows = await edge.collisions(license);
  assert.equal(rows.length, count, JSON.stringify(rows));
  return rows;
}

const pair = (row) => [row.a, row.b].sort().join(' ');

describe('records', { concurrency: true }, () => {
  test('one per pair and window, however often both are seen', async () => {
    const license = await edge.license();
    const [one, two] = manyAddresses(2);
    assert.equal((await edge.verdict(license.key, { ip: one })).collision, null);
    for (const ip of [two, one, two, one, two]) {
      const data = await edge.verdict(license.key, { ip });
      assert.equal(data.code, 'VALID');
      assert.deepEqual(data.collision, { severity: 'low', addresses: 2, window_seconds: 300 });
    }
    const [row] = await settled(license, 1);
    assert.equal(pair(row), [one, two].sort().join(' '));
    assert.equal(row.severity, 'low');
    assert.equal(row.address_count, 2);
    assert.equal(row.window_seconds, 300);
    assert.equal(row.collision_type, 'concurrent_ip');
    assert.equal(row.suspended_license, false);
    const bindings = await edge.bindings(license);
    assert.deepEqual([row.ip_binding_a, row.ip_binding_b].sort(), bindings.map((binding) => binding.id).sort());
    const audited = await edge.rows(
      "SELECT actor_kind FROM audit_logs WHERE event = 'license.collision' AND resource_id = $1", [license.id],
    );
    assert.deepEqual(audited, [{ actor_kind: 'system' }]);
    const shown = await edge.api('GET', `${license.path}/collisions`);
    assert.equal(shown.body.meta.total, 1);
    assert.equal(shown.body.data[0].id, row.id);
  });

  test('severity grows with the addresses in the window', async () => {
    const license = await edge.license({ custom_limits: UNLIMITED });
    const told = [];
    for (const ip of manyAddresses(7)) {
      const { collision } = await edge.verdict(license.key, { ip });
      told.push([collision?.severity ?? null, collision?.addresses ?? null]);
    }
    assert.deepEqual(told, [
      [null, null], ['low', 2], ['medium', 3], ['high', 4], ['high', 5], ['critical', 6], ['critical', 7],
    ]);
    const rows = await settled(license, 21);
    assert.deepEqual(tally(rows.map((row) => row.severity)), { low: 1, medium: 2, high: 7, critical: 11 });
    assert.equal(new Set(rows.map(pair)).size, 21);
  });

  test('an address refused for want of a slot collides, one refused for anything else does not', async () => {
    const full = await edge.license({ custom_limits: { max_ips: 1 } });
    const [one, two] = manyAddresses(2);
    await edge.verdict(full.key, { ip: one });
    const refused = await edge.verdict(full.key, { ip: two });
    assert.equal(refused.code, 'IP_LIMIT_REACHED');
    assert.equal(refused.collision.severity, 'low');
    const [row] = await settled(full, 1);
    assert.equal([row.ip_binding_a, row.ip_binding_b].filter(Boolean).length, 1);

    const suspended = await edge.license({ status: 'suspended' });
    for (const ip of manyAddresses(3)) assert.equal((await edge.verdict(suspended.key, { ip })).collision, null);
    await edge.wholeLog(suspended, 3);
    assert.equal((await edge.collisions(suspended)).length, 0);
  });

  test('two addresses of one /64 do not collide, two networks do', async () => {
    const license = await edge.license();
    for (const ip of ['2001:db8:1:1::1', '2001:db8:1:1::2']) {
      assert.equal((await edge.verdict(license.key, { ip })).collision, null);
    }
    assert.equal((await edge.verdict(license.key, { ip: '2001:db8:1:2::1' })).collision.addresses, 2);
    const [row] = await settled(license, 1);
    assert.deepEqual([row.a, row.b].sort(), ['2001:db8:1:1::', '2001:db8:1:2::']);
  });

  test('resolving one is recorded', async () => {
    const license = await edge.license();
    for (const ip of manyAddresses(2)) await edge.verdict(license.key, { ip });
    const [row] = await settled(license, 1);
    const resolved = await edge.api('POST', `${license.path}/collisions/${row.id}/resolve`, { notes: 'two offices' });
    assert.equal(resolved.body.data.resolution_notes, 'two offices');
    assert.equal(resolved.body.data.resolved_by, edge.userId);
    assert.equal((await edge.api('GET', `${license.path}/collisions?resolved=true`)).body.meta.total, 1);
    assert.equal((await edge.api('GET', `${license.path}/collisions?resolved=false`)).body.meta.total, 0);
  });
});

const audits = (license, event) => edge.rows(
  'SELECT actor_kind, changes FROM audit_logs WHERE event = $2 AND resource_id = $1', [license.id, event],
);

describe('the database and the object', { concurrency: true }, () => {
  test('a reactivation wins over a suspension that PostgreSQL has not heard of', async () => {
    const limits = { ...UNLIMITED, collision_threshold: 1, collision_auto_revoke: true };
    const license = await edge.license({ custom_limits: limits });
    // No collision gets into PostgreSQL as long as somebody holds the table.
    let ip;
    const client = await edge.stack.pg.connect();
    try {
      await client.query('BEGIN');
      await client.query('LOCK TABLE license_collisions IN EXCLUSIVE MODE');
      const ips = manyAddresses(3);
      [ip] = ips;
      for (const one of ips) await edge.verdict(license.key, { ip: one });
      assert.equal(await edge.code(license.key, { ip }), 'SUSPENDED');
      assert.equal((await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id])).status, 'active');
      const lifted = await edge.api('POST', `${license.path}/reactivate`, {});
      assert.equal(lifted.body.data.status, 'active');
      assert.equal(await edge.code(license.key, { ip }), 'VALID');
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    await eventuallyHolds(async () => {
      assert.ok((await edge.collisions(license)).some((row) => row.suspended_license), 'it is recorded when it arrives');
    }, 60_000);
    assert.equal((await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id])).status, 'active');
    assert.equal(await edge.code(license.key, { ip }), 'VALID');
    assert.equal((await audits(license, 'license.reactivated')).length, 1);
  });

  test('what was cancelled after its object suspended it stays cancelled', async () => {
    const license = await edge.license({ custom_limits: { ...UNLIMITED, collision_threshold: 1, collision_auto_revoke: true } });
    const client = await edge.stack.pg.connect();
    try {
      await client.query('BEGIN; LOCK TABLE license_collisions IN EXCLUSIVE MODE');
      for (const ip of manyAddresses(3)) await edge.verdict(license.key, { ip });
      await edge.api('DELETE', license.path, undefined, 204);
      const lifted = await edge.tryApi('POST', `${license.path}/reactivate`, {});
      assert.deepEqual([lifted.status, lifted.body.error?.code], [409, 'LICENSE_CANCELLED']);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    assert.equal((await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id])).status, 'cancelled');
  });

  test('one machine that changes its address does not collide with itself', async () => {
    const license = await edge.license();
    const [one, two] = manyAddresses(2);
    for (const ip of [one, two, one, two]) {
      assert.equal((await edge.verdict(license.key, { ip, machine_id: 'laptop' })).collision, null);
    }
    await edge.wholeLog(license, 4);
    assert.equal((await edge.collisions(license)).length, 0);
    assert.equal((await edge.verdict(license.key, { ip: one, machine_id: 'another' })).collision.addresses, 2);
  });
});

describe('suspension above the threshold', { concurrency: true }, () => {
  const events = (license, topic) => edge.rows(
    "SELECT id FROM outbox_messages WHERE topic = $2 AND payload->'license'->>'id' = $1", [license.id, topic],
  );

  test('is immediate, audited, evented, reversible, and happens once', async () => {
    const limits = { ...UNLIMITED, collision_threshold: 3, collision_auto_revoke: true };
    const license = await edge.license({ custom_limits: limits });
    const [one, two, three, four] = manyAddresses(4);
    const codes = [];
    for (const ip of [one, two, three]) codes.push(await edge.code(license.key, { ip }));
    assert.deepEqual(codes, ['VALID', 'VALID', 'VALID'], 'three records are not above three');
    const last = await edge.verdict(license.key, { ip: four });
    assert.equal(last.code, 'SUSPENDED');
    assert.equal(last.license, null);
    assert.equal(last.ip.bound, false);
    assert.equal(await edge.code(license.key, { ip: one }), 'SUSPENDED', 'at once, before PostgreSQL knows');

    await eventuallyHolds(async () => {
      const row = await edge.row('SELECT status, suspension_reason, suspended_at FROM licenses WHERE id = $1', [license.id]);
      assert.equal(row.status, 'suspended');
      assert.equal(row.suspension_reason, 'COLLISION_LIMIT');
      assert.ok(row.suspended_at);
    });
    const rows = await settled(license, 6);
    assert.equal(rows.filter((row) => row.suspended_license).length, 1);
    assert.equal((await edge.bindings(license)).length, 3, 'the fourth got no slot');
    assert.equal(await edge.code(license.key, { ip: one }), 'SUSPENDED');
    const [audit, ...more] = await audits(license, 'license.revoked');
    assert.equal(more.length, 0);
    assert.equal(audit.actor_kind, 'system');
    assert.deepEqual(audit.changes.after, { status: 'suspended', suspension_reason: 'COLLISION_LIMIT' });
    assert.equal((await events(license, 'license.revoked')).length, 1);

    const lifted = await edge.api('POST', `${license.path}/reactivate`, {});
    assert.equal(lifted.body.data.status, 'active');
    assert.equal(lifted.body.data.suspension_reason, null);
    assert.equal(await edge.code(license.key, { ip: one }), 'VALID', 'reversible');
    await pause(3000);
    assert.equal(await edge.code(license.key, { ip: two }), 'VALID', 'and it stays so');
    assert.equal((await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id])).status, 'active');
    assert.equal((await audits(license, 'license.revoked')).length, 1);
  });

  test('counts anew after it was lifted', async () => {
    const limits = { ...UNLIMITED, collision_threshold: 1, collision_auto_revoke: true };
    const license = await edge.license({ custom_limits: limits });
    const ips = manyAddresses(5);
    const codes = [];
    for (const ip of ips.slice(0, 3)) codes.push(await edge.code(license.key, { ip }));
    assert.deepEqual(codes, ['VALID', 'VALID', 'SUSPENDED']);
    await eventuallyHolds(async () => assert.equal((await audits(license, 'license.revoked')).length, 1));
    await edge.api('POST', `${license.path}/reactivate`, {});
    assert.equal(await edge.code(license.key, { ip: ips[0] }), 'VALID');
    assert.equal(await edge.code(license.key, { ip: ips[3] }), 'SUSPENDED', 'three new pairs are above one');
    await eventuallyHolds(async () => assert.equal((await audits(license, 'license.revoked')).length, 2));
    await edge.api('POST', `${license.path}/reactivate`, {});
    assert.equal(await edge.code(license.key, { ip: ips[1] }), 'VALID');
  });

  test('only where it is switched on', async () => {
    const license = await edge.license({ custom_limits: { ...UNLIMITED, collision_threshold: 1 } });
    for (const ip of manyAddresses(6)) assert.equal(await edge.code(license.key, { ip }), 'VALID');
    assert.equal((await settled(license, 15)).filter((row) => row.suspended_license).length, 0);
  });

  test('not by addresses that the vendor allows', async () => {
    const limits = { ...UNLIMITED, collision_threshold: 1, collision_auto_revoke: true, allowed_cidrs: ['198.18.0.0/15'] };
    const license = await edge.license({ custom_limits: limits });
    for (const ip of manyAddresses(6)) assert.equal(await edge.code(license.key, { ip }), 'VALID');
    await edge.wholeLog(license, 6);
    assert.equal((await edge.collisions(license)).length, 0);
  });
});
