// Killed workers and an absent PostgreSQL.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Edge, address, eventuallyHolds, inParallel, manyAddresses, pause } from './support/edge.mjs';

// What a killed worker may take with it: two seconds in the isolate's memory, and
// locally what the queue holds in memory, one second and the insert.
const LOSABLE_MS = 6000;
const TTL_S = 2;

let edge;
before(async () => { edge = await Edge.open({ ownServer: true, vars: { SNAPSHOT_TTL_SECONDS: TTL_S } }); });
after(() => edge?.close());

describe('a killed worker', () => {
  test('keeps every binding it answered, and loses at most the last seconds of the log', async () => {
    const license = await edge.license({ custom_limits: { max_ips: -1 } });
    const told = [];
    let killed = false;
    const lane = async () => {
      while (!killed) {
        const ip = address();
        const nonce = `kill-${ip}`;
        try {
          const answer = await edge.validate(license.key, { ip, nonce });
          if (answer.status === 200) told.push({ ip, nonce, at: Date.now(), newly: answer.body.data.ip.newly_bound });
        } catch {
          // The connection broke with the worker: nothing was promised.
        }
        await pause(40);
      }
    };
    const traffic = Promise.all(Array.from({ length: 4 }, lane));
    await pause(LOSABLE_MS + 4000);
    const killedAt = Date.now();
    const back = edge.stack.restart({ kill: 'SIGKILL' });
    killed = true;
    await traffic;
    await back;
    const before = told.filter((one) => one.at <= killedAt);
    assert.ok(before.length > 50 && before.every((one) => one.newly), `${before.length} validations`);

    const kept = new Set((await edge.log(license)).map((row) => row.nonce));
    const lost = before.filter((one) => !kept.has(one.nonce));
    const oldest = Math.max(0, ...lost.map((one) => killedAt - one.at));
    assert.ok(oldest <= LOSABLE_MS, `a row of ${oldest} ms before the end is lost`);

    for (const { ip } of [...before.slice(0, 10), ...before.slice(-20)]) {
      const data = await edge.verdict(license.key, { ip });
      assert.deepEqual(data.ip, { address: ip, bound: true, newly_bound: false });
    }
    await eventuallyHolds(async () => {
      const mirrored = new Set((await edge.bindings(license)).map((row) => row.ip));
      assert.deepEqual(before.filter((one) => !mirrored.has(one.ip)).map((one) => one.ip), []);
    });
  });

  test('keeps limits, suspension and the warm snapshot', async () => {
    const strict = await edge.license({ custom_limits: { max_ips: 2 } });
    const ips = manyAddresses(3);
    for (const ip of ips) await edge.verdict(strict.key, { ip });
    const leaked = await edge.license({
      custom_limits: { max_ips: -1, collision_threshold: 1, collision_auto_revoke: true },
    });
    const codes = [];
    for (const ip of manyAddresses(3)) codes.push(await edge.code(leaked.key, { ip }));
    assert.deepEqual(codes, ['VALID', 'VALID', 'SUSPENDED']);
    await edge.stack.restart({ kill: 'SIGKILL' });
    assert.equal(await edge.code(leaked.key), 'SUSPENDED', 'also when nobody could tell PostgreSQL');
    const now = [];
    for (const ip of ips) now.push((await edge.verdict(strict.key, { ip })).code);
    assert.deepEqual(now, ['VALID', 'VALID', 'IP_LIMIT_REACHED']);
    await eventuallyHolds(async () => {
      const row = await edge.row('SELECT status, suspension_reason FROM licenses WHERE id = $1', [leaked.id]);
      assert.deepEqual(row, { status: 'suspended', suspension_reason: 'COLLISION_LIMIT' });
    }, 60_000);
  });
});

describe('killed again and again', () => {
  test('what the objects decided reaches PostgreSQL: every collision, and each suspension once', async () => {
    const limits = { max_ips: -1, collision_threshold: 1, collision_auto_revoke: true };
    const licenses = [];
    for (let index = 0; index < 8; index += 1) licenses.push(await edge.license({ custom_limits: limits }));
    for (const wait of [100, 2500]) {
      for (const license of licenses.splice(0, 4)) {
        const ips = manyAddresses(3);
        for (const ip of ips) await edge.verdict(license.key, { ip });
        licenses.push({ ...license, ip: ips[0] });
      }
      await pause(wait);
      await edge.stack.restart({ kill: 'SIGKILL' });
    }
    await eventuallyHolds(async () => {
      for (const license of licenses) {
        assert.equal((await edge.collisions(license)).length, 3);
        assert.equal((await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id])).status, 'suspended');
      }
    }, 90_000);
    for (const license of licenses) {
      const audits = await edge.rows("SELECT id FROM audit_logs WHERE event = 'license.revoked' AND resource_id = $1", [license.id]);
      assert.equal(audits.length, 1);
      await edge.api('POST', `${license.path}/reactivate`, {});
      assert.equal(await edge.code(license.key, { ip: license.ip }), 'VALID');
    }
  });
});

describe('PostgreSQL away', () => {
  test('warm validations go on, the rest says 503, and the logs catch up', async () => {
    const warm = await edge.license();
    const cold = await edge.license();
    const suspended = await edge.license({ status: 'suspended' });
    const [home, away] = manyAddresses(2);
    await edge.verdict(warm.key, { ip: home });
    await edge.verdict(suspended.key);
    await edge.wholeLog(warm, 1);
    await edge.stack.stopPostgres();
    let sent = 0;
    try {
      await pause(TTL_S * 1000 + 500);
      for (let round = 0; round < 3; round += 1) {
        const known = await edge.validate(warm.key, { ip: home, nonce: `away-${sent++}` });
        assert.equal(known.body.data?.code, 'VALID', JSON.stringify(known.body));
        const fresh = await edge.verdict(warm.key, { ip: away, nonce: `away-${sent++}` });
        assert.equal(fresh.code, 'VALID');
        assert.equal(fresh.ip.newly_bound, round === 0);
      }
      assert.equal(await edge.code(suspended.key), 'SUSPENDED');
      assert.equal(await edge.code('nonsense'), 'INVALID_KEY');

      const unknown = await edge.validate(cold.key);
      assert.equal(unknown.status, 503);
      assert.equal(unknown.body.error.code, 'SERVICE_UNAVAILABLE');
      assert.ok(Number(unknown.headers.get('retry-after')) >= 1);

      const batch = await edge.nobody('POST', '/api/licenses/batch-validate', {
        body: { items: [{ license_key: cold.key }, { license_key: warm.key, ip_address: home, nonce: `away-${sent++}` }] },
        headers: { 'cf-connecting-ip': address() },
      });
      assert.deepEqual(
        batch.body.data.map((item) => item.verdict?.code ?? item.error.code), ['SERVICE_UNAVAILABLE', 'VALID'],
      );

      for (const [method, path, body] of [
        ['GET', '/api/licenses'], ['GET', warm.path], ['POST', `${warm.path}/revoke`, {}],
      ]) {
        const answer = await edge.tryApi(method, path, body);
        assert.equal(answer.status, 503, `${method} ${path}`);
        assert.equal(answer.body.success, false);
        assert.ok(Number(answer.headers.get('retry-after')) >= 1);
      }
      const ready = await edge.nobody('GET', '/health/ready', {});
      assert.equal(ready.status, 503);
      assert.deepEqual(ready.body.error.details, { postgres: 'failed', objects: 'ok' });
      assert.equal((await edge.nobody('GET', '/health/live', {})).status, 200);
    } finally {
      await edge.stack.startPostgres();
    }
    await eventuallyHolds(async () => assert.equal((await edge.nobody('GET', '/health/ready', {})).status, 200), 60_000);
    const rows = await edge.wholeLog(warm, 1 + sent, 120_000);
    const nonces = rows.map((row) => row.nonce).filter(Boolean);
    assert.deepEqual(nonces.sort(), Array.from({ length: sent }, (_, index) => `away-${index}`).sort());
    assert.deepEqual((await edge.bindings(warm)).map((row) => row.ip).sort(), [home, away].sort());
    await eventuallyHolds(async () => assert.equal(await edge.code(cold.key), 'VALID'));
    await edge.api('POST', `${warm.path}/revoke`, {});
    assert.equal(await edge.code(warm.key, { ip: home }), 'SUSPENDED');
  });
});

describe('with PostgreSQL away while the log is flushed', () => {
  let edge;
  before(async () => { edge = await Edge.open({ ownServer: true }); });
  after(() => edge?.close());

  test('messages come again until they are in, and each row arrives once', async () => {
    const license = await edge.license({
      custom_limits: { max_ips: -1, collision_threshold: 5, collision_auto_revoke: true },
    });
    const quiet = await edge.license();
    await edge.verdict(license.key);
    await edge.verdict(quiet.key);
    await edge.wholeLog(license, 1);

    await edge.stack.stopPostgres();
    // The fourth address makes the sixth record and so suspends the license while nobody can be told.
    const codes = [];
    for (const ip of manyAddresses(3)) codes.push(await edge.code(license.key, { ip }));
    assert.deepEqual(codes, ['VALID', 'VALID', 'SUSPENDED']);
    await inParallel(10, Array.from({ length: 120 }, (_, index) => () => edge.verdict(quiet.key, { ip: '192.0.2.1', nonce: `away-${index}` })));
    await pause(12_000);
    await edge.stack.startPostgres();

    const rows = await edge.wholeLog(quiet, 121, 120_000);
    assert.equal(new Set(rows.map((row) => row.nonce)).size, 121);
    await edge.wholeLog(license, 4, 120_000);
    assert.equal((await edge.collisions(license)).length, 6);
    const row = await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id]);
    assert.equal(row.status, 'suspended');
    const audits = await edge.rows("SELECT id FROM audit_logs WHERE event = 'license.revoked' AND resource_id = $1", [license.id]);
    assert.equal(audits.length, 1, 'suspended once, not with every delivery');
    assert.equal((await edge.bindings(quiet)).length, 2);
  });
});
