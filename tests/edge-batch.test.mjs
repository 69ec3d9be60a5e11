// Batches of validations.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Edge, address, manyAddresses } from './support/edge.mjs';

const edge = await Edge.open();

const send = (items, headers = {}) => edge.nobody('POST', '/api/licenses/batch-validate', {
  body: { items }, headers: { 'cf-connecting-ip': address(), ...headers },
});

test('a hundred cold keys are one statement; the order is kept; warm they are none', async () => {
  const licenses = await edge.licenses(100);
  const items = licenses.map(({ key }, index) => ({ license_key: key, nonce: `n${index}` }));
  const cold = await send(items);
  assert.equal(cold.status, 200);
  assert.equal(cold.counts.db, 1);
  assert.equal(cold.counts.do, 200);
  assert.equal(cold.body.data.length, 100);
  for (const [index, item] of cold.body.data.entries()) {
    assert.equal(item.index, index);
    assert.equal(item.error, null);
    assert.equal(item.verdict.code, 'VALID');
    assert.equal(item.verdict.nonce, `n${index}`);
    assert.equal(item.verdict.license.id, licenses[index].id);
  }
  const warm = await send(items.toReversed());
  assert.deepEqual(warm.counts, { db: 0, do: 100 });
  assert.deepEqual(warm.body.data.map((item) => item.verdict.nonce), items.map((item) => item.nonce).toReversed());
});

test('each item gets a verdict or an error of its own', async () => {
  const good = await edge.license();
  const suspended = await edge.license({ status: 'suspended' });
  const [home, away] = manyAddresses(2);
  const items = [
    { license_key: good.key, ip_address: home, nonce: 'first' },
    { license_key: 'nonsense' },
    { license_key: good.key, ip_address: 'nowhere' },
    { license_key: suspended.key },
    { license_key: edge.key() },
    {},
    { license_key: good.key, colour: 'red' },
    'text', 7, null, [],
    { license_key: 'k'.repeat(200) },
    { license_key: good.key, ip_address: away },
  ];
  const answer = await send(items, { 'accept-language': 'en' });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const told = answer.body.data.map((item) => item.verdict?.code ?? item.error.code);
  assert.deepEqual(told, [
    'VALID', 'INVALID_KEY', 'VALIDATION_FAILED', 'SUSPENDED', 'NOT_FOUND', 'INVALID_BODY', 'INVALID_BODY',
    'INVALID_BODY', 'INVALID_BODY', 'INVALID_BODY', 'INVALID_BODY', 'VALIDATION_FAILED', 'VALID',
  ]);
  answer.body.data.forEach((item, index) => {
    assert.equal(item.index, index);
    assert.equal((item.verdict === null) !== (item.error === null), true);
  });
  assert.equal(answer.body.data[0].verdict.nonce, 'first');
  assert.equal(answer.body.data[3].verdict.reason, 'The license is suspended');
  assert.equal(answer.body.data[3].verdict.license, null);
  assert.equal(answer.counts.db, 1);
  await edge.wholeLog(good, 2);
});

test('a doubled key or a NUL spoils its own item only', async () => {
  const license = await edge.license();
  const key = JSON.stringify(license.key);
  const text = `{"items":[{"license_key":${key},"license_key":${key}},{"license_key":${key},"hostname":"a\\u0000b"},{"license_key":${key}}]}`;
  const response = await fetch(`${edge.stack.url}/api/licenses/batch-validate`, {
    method: 'POST', body: text, headers: { 'content-type': 'application/json', 'cf-connecting-ip': address() },
  });
  const { data } = await response.json();
  assert.deepEqual(data.map((item) => item.verdict?.code ?? item.error.code), ['INVALID_BODY', 'INVALID_BODY', 'VALID']);
});

test('one key many times in one batch: the slots are counted right', async () => {
  const license = await edge.license();
  const ips = manyAddresses(8);
  const answer = await send(ips.map((ip) => ({ license_key: license.key, ip_address: ip })));
  const codes = answer.body.data.map((item) => item.verdict.code);
  assert.equal(codes.filter((code) => code === 'VALID').length, 5);
  assert.equal(codes.filter((code) => code === 'IP_LIMIT_REACHED').length, 3);
  await edge.wholeLog(license, 8);
  assert.equal((await edge.bindings(license)).length, 5);
});

test('none, too many, or no list at all', async () => {
  const item = { license_key: 'x' };
  assert.equal((await send([])).status, 422);
  const many = await send(Array.from({ length: 101 }, () => item));
  assert.equal(many.status, 422);
  assert.ok(many.body.error.details.fields.items);
  assert.equal((await send(Array.from({ length: 100 }, () => item))).status, 200);
  for (const body of [{}, { items: 'x' }, { items: {} }, { items: [item], more: 1 }, []]) {
    const answer = await edge.nobody('POST', '/api/licenses/batch-validate', {
      body, headers: { 'cf-connecting-ip': address() },
    });
    assert.equal(answer.status, 400, JSON.stringify(body));
  }
  const large = await send([{ license_key: 'x', hostname: 'h'.repeat(200_000) }]);
  assert.equal(large.status, 413);
});
