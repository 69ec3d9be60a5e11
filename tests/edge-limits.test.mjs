// Rate limits of validations, and the snapshot's own age: a worker with low numbers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Edge, address, inParallel, manyAddresses, pause, tally } from './support/edge.mjs';

const PER_LICENSE = 20;
const PER_IP = 10;
const TTL_S = 2;

let edge;
before(async () => {
  edge = await Edge.open({
    vars: { VALIDATE_LIMIT_PER_LICENSE: PER_LICENSE, VALIDATE_LIMIT_PER_IP: PER_IP, SNAPSHOT_TTL_SECONDS: TTL_S },
  });
});
after(() => edge?.close());

/** Windows are minutes of the clock: a burst must not lie on the border. */
async function earlyInTheMinute(seconds) {
  const left = 60 - (Date.now() / 1000) % 60;
  if (left < seconds) await pause(left * 1000 + 300);
}

function limited(answer, limit) {
  assert.equal(answer.body.success, false);
  assert.equal(answer.body.error.code, 'RATE_LIMITED');
  assert.equal(answer.headers.get('ratelimit-limit'), String(limit));
  assert.equal(answer.headers.get('ratelimit-remaining'), '0');
  const wait = Number(answer.headers.get('retry-after'));
  assert.ok(wait >= 1 && wait <= 60, `retry after ${wait}`);
}

test('per license the limit is exact under concurrency, warm and cold', async () => {
  for (const warm of [true, false]) {
    await earlyInTheMinute(15);
    const license = await edge.license({ custom_limits: { max_ips: -1 } });
    const ip = address();
    if (warm) await edge.verdict(license.key, { ip });
    const calls = Array.from({ length: 60 }, () => () => edge.validate(license.key, { ip }));
    const answers = await inParallel(30, calls);
    const passed = PER_LICENSE - (warm ? 1 : 0);
    assert.deepEqual(tally(answers.map((answer) => answer.status)), { 200: passed, 429: 60 - passed });
    for (const answer of answers) {
      if (answer.status === 429) limited(answer, PER_LICENSE);
      else assert.equal(answer.body.data.code, 'VALID');
    }
    const other = await edge.license();
    assert.equal(await edge.code(other.key, { ip }), 'VALID', 'another license is not affected');
  }
});

test('a pause in which the object leaves memory does not begin the minute anew', async () => {
  const license = await edge.license({ custom_limits: { max_ips: -1 } });
  const ip = address();
  const burst = async (size) => tally((await inParallel(10, Array.from({ length: size }, () => () => edge.validate(license.key, { ip }))))
    .map((answer) => answer.status));
  assert.deepEqual(await burst(PER_LICENSE - 5), { 200: PER_LICENSE - 5 });
  await pause(14_000);
  assert.deepEqual(await burst(12), { 200: 5, 429: 7 });
});

test('a limited validation takes no slot and leaves no row', async () => {
  await earlyInTheMinute(15);
  const license = await edge.license({ custom_limits: { max_ips: -1 } });
  const answers = await inParallel(10, manyAddresses(30).map((ip) => () => edge.validate(license.key, { ip })));
  const bound = answers.filter((answer) => answer.status === 200);
  assert.equal(bound.length, PER_LICENSE);
  await edge.wholeLog(license, PER_LICENSE);
  assert.equal((await edge.bindings(license)).length, PER_LICENSE);
});

test('per address: the connection is counted, not the address it names', async () => {
  await earlyInTheMinute(15);
  const [from, other] = manyAddresses(2);
  const key = edge.key();
  const bad = `${key.slice(0, -4)}${key.endsWith('0000') ? '1111' : '0000'}`;
  const answers = await inParallel(10, Array.from({ length: 25 }, (_, index) => () => edge.validate(bad, { from, ip: `192.0.2.${index}` })));
  assert.deepEqual(tally(answers.map((answer) => answer.status)), { 200: PER_IP, 429: 25 - PER_IP });
  answers.filter((answer) => answer.status === 429).forEach((answer) => {
    limited(answer, PER_IP);
    assert.deepEqual(answer.counts, { db: 0, do: 0 });
  });
  assert.equal((await edge.validate(bad, { from: other })).status, 200);
});

test('per address: the items of a batch count one by one, and get their own errors', async () => {
  await earlyInTheMinute(15);
  const license = await edge.license();
  const ip = address();
  const items = Array.from({ length: 15 }, () => ({ license_key: license.key, ip_address: ip }));
  const answer = await edge.nobody('POST', '/api/licenses/batch-validate', {
    body: { items }, headers: { 'cf-connecting-ip': address() },
  });
  assert.equal(answer.status, 200);
  const outcomes = answer.body.data.map((item) => item.verdict?.code ?? item.error.code);
  assert.deepEqual(tally(outcomes), { VALID: PER_IP, RATE_LIMITED: 15 - PER_IP });
});

test('a snapshot expires by time, so a lost notice heals', async () => {
  const license = await edge.license();
  const ip = address();
  assert.equal(await edge.code(license.key, { ip }), 'VALID');
  await edge.rows("UPDATE licenses SET status = 'suspended' WHERE id = $1", [license.id]);
  assert.equal(await edge.code(license.key, { ip }), 'VALID', 'nobody told the object');
  await pause(TTL_S * 1000 + 300);
  const healed = await edge.validate(license.key, { ip });
  assert.equal(healed.body.data.code, 'SUSPENDED');
  assert.equal(healed.counts.db, 1);
});
