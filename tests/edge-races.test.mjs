// What happens at the same time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Edge, address, eventuallyHolds, inParallel, manyAddresses, pause, tally } from './support/edge.mjs';

const edge = await Edge.open();

/** Asserts that exactly `ips` hold slots: in the object's answers, through the API and in PostgreSQL. */
async function boundAre(license, ips, all) {
  const answers = await Promise.all(all.map((ip) => edge.verdict(license.key, { ip })));
  assert.deepEqual(answers.filter((data) => data.ip.bound).map((data) => data.ip.address).sort(), [...ips].sort(), 'object');
  assert.ok(answers.every((data) => !data.ip.newly_bound));
  const shown = await edge.api('GET', `${license.path}/ips?is_active=true`);
  assert.deepEqual(shown.body.data.map((row) => row.ip_address).sort(), [...ips].sort(), 'API');
  await eventuallyHolds(async () => {
    assert.deepEqual((await edge.bindings(license)).map((row) => row.ip).sort(), [...ips].sort(), 'PostgreSQL');
  });
}

test('50 parallel validations from 10 addresses on 5 slots: exactly 5 bound', async () => {
  const logs = [];
  for (const warm of [true, false]) {
    const license = await edge.license();
    const ips = manyAddresses(10);
    if (warm) {
      // Warm without a slot taken: an address that is refused leaves only the snapshot behind.
      await edge.api('PATCH', license.path, { custom_limits: { allowed_cidrs: ['198.18.0.0/15'] } });
      assert.equal(await edge.code(license.key, { from: '192.0.2.1' }), 'IP_NOT_ALLOWED');
    }
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => edge.verdict(license.key, { ip: ips[index % 10] })));
    const newly = answers.filter((data) => data.ip.newly_bound).map((data) => data.ip.address);
    assert.equal(newly.length, 5);
    assert.equal(new Set(newly).size, 5);
    assert.deepEqual(tally(answers.map((data) => data.code)), { VALID: 25, IP_LIMIT_REACHED: 25 });
    for (const data of answers) assert.equal(data.code === 'VALID', newly.includes(data.ip.address));
    assert.deepEqual(
      answers.filter((data) => data.ip.newly_bound).map((data) => data.remaining_ips).sort(), [0, 1, 2, 3, 4],
    );
    await boundAre(license, newly, ips);
    logs.push(edge.wholeLog(license, 60 + (warm ? 1 : 0)));
  }
  await Promise.all(logs);
});

test('50 parallel cold validations of one key: one verdict for all, each logged', async () => {
  const license = await edge.license();
  const ip = address();
  const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => edge.validate(license.key, { ip, nonce: `${index}` })));
  assert.deepEqual(tally(answers.map((answer) => answer.body.data?.code)), { VALID: 50 });
  assert.equal(answers.filter((answer) => answer.body.data.ip.newly_bound).length, 1);
  assert.ok(answers.every((answer) => answer.counts.db <= 1 && answer.counts.do <= 2));
  const rows = await edge.wholeLog(license, 50);
  assert.equal(new Set(rows.map((row) => row.nonce)).size, 50);
  assert.deepEqual((await edge.validate(license.key, { ip })).counts, { db: 0, do: 1 });
});

test('a change during a storm: no validation that started after its answer sees the state before', async () => {
  const license = await edge.license();
  const ip = address();
  const changes = [
    ['revoke', 'SUSPENDED'], ['reactivate', 'VALID'], ['revoke', 'SUSPENDED'], ['reactivate', 'VALID'], ['revoke', 'SUSPENDED'],
  ];
  let stopped = false;
  const seen = [];
  const lane = async () => {
    while (!stopped) {
      const started = performance.now();
      seen.push({ started, code: await edge.code(license.key, { ip }), ended: performance.now() });
      await pause(15);
    }
  };
  assert.equal(await edge.code(license.key, { ip }), 'VALID');
  const storm = Promise.all(Array.from({ length: 8 }, lane));
  const spans = [];
  await pause(300);
  for (const [action, code] of changes) {
    await edge.api('POST', `${license.path}/${action}`, {});
    const from = performance.now();
    await eventuallyHolds(() => assert.ok(seen.filter((one) => one.started > from).length >= 10), 20_000);
    spans.push({ from, until: performance.now(), code });
  }
  stopped = true;
  await storm;
  for (const { from, until, code } of spans) {
    const inside = seen.filter((one) => one.started > from && one.ended < until);
    assert.ok(inside.length >= 5, `only ${inside.length} validations after a change`);
    assert.deepEqual(tally(inside.map((one) => one.code)), { [code]: inside.length });
  }
  await edge.wholeLog(license, seen.length + 1);
});

test('binding by hand and by validation at once never exceeds the limit', async () => {
  for (let round = 0; round < 3; round += 1) {
    const license = await edge.license();
    const [automatic, manual] = [manyAddresses(8), manyAddresses(4)];
    const [answers, bound] = await Promise.all([
      Promise.all(automatic.map(async (ip) => {
        await pause(Math.random() * 120);
        return edge.verdict(license.key, { ip });
      })),
      Promise.all(manual.map(async (ip) => {
        await pause(Math.random() * 120);
        return [ip, await edge.tryApi('POST', `${license.path}/bind-ip`, { ip_address: ip })];
      })),
    ]);
    const held = [
      ...answers.filter((data) => data.code === 'VALID').map((data) => data.ip.address),
      ...bound.filter(([, answer]) => answer.status === 201).map(([ip]) => ip),
    ];
    for (const [, answer] of bound) {
      if (answer.status !== 201) assert.equal(`${answer.status} ${answer.body.error.code}`, '409 IP_LIMIT_REACHED');
    }
    assert.equal(held.length, 5, JSON.stringify(held));
    await boundAre(license, held, [...automatic, ...manual]);
  }
});

test('the same address by hand and by validation at once holds one slot', async () => {
  const logs = [];
  for (let round = 0; round < 4; round += 1) {
    const license = await edge.license();
    const ip = address();
    const [bound, ...answers] = await Promise.all([
      edge.tryApi('POST', `${license.path}/bind-ip`, { ip_address: ip }),
      ...Array.from({ length: 6 }, () => edge.verdict(license.key, { ip })),
    ]);
    assert.ok([201, 409].includes(bound.status), JSON.stringify(bound.body));
    assert.ok(answers.every((data) => data.code === 'VALID'));
    const after = await edge.verdict(license.key, { ip });
    assert.deepEqual([after.ip.bound, after.ip.newly_bound, after.remaining_ips], [true, false, 4]);
    // The binding has a way of its own into PostgreSQL.
    logs.push(edge.wholeLog(license, 7).then(() => boundAre(license, [ip], [ip])));
  }
  await Promise.all(logs);
});

test('freeing a slot while others want it gives it away once', async () => {
  const license = await edge.license({ custom_limits: { max_ips: 1 } });
  const [holder, ...others] = manyAddresses(9);
  await edge.verdict(license.key, { ip: holder });
  const [, ...answers] = await Promise.all([
    edge.api('DELETE', `${license.path}/unbind-ip?ip_address=${holder}`, undefined, 204),
    ...others.map(async (ip, index) => {
      await pause(index * 25);
      return edge.verdict(license.key, { ip });
    }),
  ]);
  const late = await inParallel(4, others.map((ip) => () => edge.verdict(license.key, { ip })));
  const winners = new Set([...answers, ...late].filter((data) => data.code === 'VALID').map((data) => data.ip.address));
  assert.equal(winners.size, 1);
  await boundAre(license, [...winners], [holder, ...others]);
});

test('cold validations of an unknown key while its license appears end with it valid', async () => {
  const key = edge.key();
  const [license] = await Promise.all([
    pause(30).then(async () => {
      const made = await edge.license({ license_key: key });
      await edge.api('PATCH', made.path, { notes: 'here' });
      return made;
    }),
    ...Array.from({ length: 20 }, async (_, index) => {
      await pause(index * 8);
      assert.ok(['NOT_FOUND', 'VALID'].includes(await edge.code(key, { ip: '192.0.2.9' })));
    }),
  ]);
  assert.equal(await edge.code(key, { ip: '192.0.2.9' }), 'VALID');
  assert.equal((await edge.verdict(license.key, { ip: '192.0.2.9' })).remaining_ips, 4);
});

test('hundreds of different calls at once: each gets the answer to its own', async () => {
  const licenses = await edge.licenses(40);
  const suspended = await Promise.all(Array.from({ length: 10 }, () => edge.license({ status: 'suspended' })));
  const unknown = Array.from({ length: 10 }, () => edge.key());
  const misspelt = (key) => `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`;
  const keys = [
    ...licenses.map(({ id, key }) => ({ key, code: 'VALID', id, asked: 1 })),
    ...suspended.map(({ key }) => ({ key, code: 'SUSPENDED', asked: 1 })),
    ...unknown.map((key) => ({ key, code: 'NOT_FOUND', asked: 1 })),
    ...unknown.map((key) => ({ key: misspelt(key), code: 'INVALID_KEY', asked: 0 })),
  ].map((one, index) => ({ ...one, ip: `2001:db8:${index + 1}::1` }));
  const reasons = { es: {}, en: {} };
  const validation = ({ key, code, id, asked, ip }, name, index) => async () => {
    const lang = index % 2 ? 'es' : 'en';
    const answer = await edge.validate(key, { lang, requestId: name, ip, nonce: `of ${name}`, machine_id: 'one' });
    assert.equal(answer.status, 200, answer.text);
    const { data } = answer;
    assert.deepEqual(
      [answer.headers.get('x-request-id'), data.nonce, data.code, data.license?.id, data.ip.address],
      [name, `of ${name}`, code, id, ip],
    );
    reasons[lang][code] ??= data.reason;
    assert.equal(data.reason, reasons[lang][code]);
    return [answer.counts.db, answer.counts.do - asked];
  };
  const me = (name) => async () => {
    const answer = await edge.admin('GET', '/api/auth/me', { headers: { 'x-request-id': name } });
    assert.deepEqual([answer.status, answer.headers.get('x-request-id'), answer.data?.profile.id], [200, name, edge.userId], answer.text);
  };
  const several = (name, index) => async () => {
    const some = [0, 13, 29, 41, 55, 68].map((from) => keys[(from + index) % keys.length]);
    const answer = await edge.admin('POST', '/api/licenses/batch-validate', {
      headers: { 'x-request-id': name },
      body: { items: some.map(({ key, ip }, place) => ({ license_key: key, ip_address: ip, machine_id: 'one', nonce: `${name} ${place}` })) },
    });
    assert.equal(answer.headers.get('x-request-id'), name);
    assert.deepEqual(answer.data.map(({ verdict }) => [verdict.nonce, verdict.code]), some.map(({ code }, place) => [`${name} ${place}`, code]));
  };
  // PostgreSQL is read once for each key; after that nothing waits for it.
  await inParallel(8, [me('me'), ...keys.map((one, index) => validation(one, `cold-${index}`, index))]);
  const calls = Array.from({ length: 5 }, (_, turn) => keys.map((one, index) => validation(one, `warm-${turn}-${index}`, index))).flat();
  const others = Array.from({ length: 40 }, (_, index) => [me(`me-${index}`), several(`several-${index}`, index)]).flat();
  const [counts] = await Promise.all([inParallel(300, calls), inParallel(20, others)]);
  assert.ok(counts.every(([statements, objects]) => statements === 0 && objects === 0), JSON.stringify(tally(counts.map(String))));
  assert.notEqual(reasons.es.SUSPENDED, reasons.en.SUSPENDED);
});
