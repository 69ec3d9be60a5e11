// Reports as files: tables that spreadsheets may open, lines of JSON, and all reports of a period in an archive that
// others' tools can read.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { Facts, day } from './support/facts.mjs';
import { conforms } from './support/openapi.mjs';
import { sharedStack } from './harness/client.mjs';
import { createOrganization, createProduct, createSuperAdmin, signedIn } from './support/world.mjs';

const PATH = '/api/analytics/export';
const three = { from: day(23), to: day(20), granularity: 'day' };
const stack = await sharedStack();
const home = await createOrganization(stack);

before(async () => {
  const facts = new Facts(stack, home);
  const dangerous = await createProduct(stack, home.id, { name: '=HYPERLINK("http://evil.test","x")' });
  const order = await facts.sale(`${day(22)}T10:00:00Z`, 50, { product: dangerous });
  await facts.sale(`${day(22)}T10:00:00Z`, 20);
  await facts.refund(order, `${day(21)}T10:00:00Z`, 50);
  await facts.task(`${day(22)}T10:00:00Z`, { user_id: home.users.client });
});

const file = async (query, call = home.as.admin) => {
  const answer = await call('GET', PATH, { query });
  assert.equal(answer.status, 200, answer.text);
  return answer;
};
const auditedBy = async (answer) => (await stack.pg.query(
  'SELECT organization_id, changes FROM audit_logs WHERE event = $2 AND request_id = $1', [answer.headers.get('x-request-id'), 'analytics.exported'])).rows;

describe('a report', () => {
  test('as CSV: by period, the whole, and by things; formulas are text, numbers are numbers', async () => {
    const answer = await file({ ...three, report: 'sales_by_product' });
    assert.match(answer.headers.get('content-disposition'), /^attachment; filename="analytics-sales_by_product-\d{8}-\d{6}\.csv"$/);
    const [header, ...rows] = answer.text.trimEnd().split('\r\n');
    assert.ok(header.startsWith('section,key,label,revenue,gross_revenue,refunds,'));
    assert.deepEqual(rows.slice(0, 4).map((row) => row.split(',').slice(0, 4)), [
      ['period', `${day(23)}T00:00:00+00:00`, '', '0'], ['period', `${day(22)}T00:00:00+00:00`, '', '70.00'],
      ['period', `${day(21)}T00:00:00+00:00`, '', '-50.00'], ['total', '', '', '20.00'],
    ]);
    const products = rows.filter((row) => row.startsWith('product,'));
    assert.equal(products.length, 2);
    assert.ok(products[1].includes(`,"'=HYPERLINK(""http://evil.test"",""x"")",0.00,`), products[1]);
    const [row] = await auditedBy(answer);
    assert.equal(row.organization_id, home.id);
    assert.deepEqual(row.changes.after, { report: 'sales_by_product', ...three });
  });

  test('as JSON lines: the numbers of the report', async () => {
    const answer = await file({ ...three, report: 'sales', format: 'jsonl' });
    assert.equal(answer.headers.get('content-type'), 'application/x-ndjson');
    const rows = answer.text.trimEnd().split('\n').map((line) => JSON.parse(line));
    const report = good(await home.as.admin('GET', '/api/analytics/sales', { query: three }));
    const { section, key, label, ...totals } = rows.find((row) => row.section === 'total');
    assert.deepEqual([section, key, label, totals], ['total', null, null, report.totals]);
    assert.deepEqual(rows.filter((row) => row.section === 'period').map(({ key: at, revenue }) => ({ at, value: revenue })), report.series[0].points);
  });

  test('with what it is compared with, row by row', async () => {
    const asked = { from: day(22), to: day(21), granularity: 'day', compare: 'previous' };
    const answer = await file({ ...asked, report: 'sales_by_product', metric: 'revenue', format: 'jsonl' });
    const rows = answer.text.trimEnd().split('\n').map((line) => JSON.parse(line));
    const report = good(await home.as.admin('GET', '/api/analytics/sales/by-product', { query: { ...asked, metric: 'revenue' } }));
    const of = (section) => rows.filter((row) => row.section === section);
    assert.deepEqual(of('compare_period').map(({ key }) => key), [report.compare.from]);
    assert.equal(of('compare_total')[0].revenue, report.compare.totals.revenue);
    const later = { ...asked, from: day(21), to: day(20), report: 'sales_by_product', metric: 'revenue', format: 'jsonl' };
    const next = (await file(later)).text.trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual(next.filter(({ section }) => section.endsWith('total')).map(({ section, revenue }) => [section, revenue]), [['total', -50], ['compare_total', 70]]);
    const [one] = next.filter(({ section }) => section === 'compare_product');
    assert.deepEqual([one.label, one.revenue], ['=HYPERLINK("http://evil.test","x")', 50]);
  });

  test('only one measure, in the zone', async () => {
    const { text } = await file({ ...three, report: 'sales', metric: 'revenue', timezone: 'America/Bogota' });
    assert.deepEqual(text.split('\r\n').slice(0, 2), ['section,key,label,revenue', `period,${day(23)}T05:00:00+00:00,,0`]);
  });
});

describe('all of a period', () => {
  /** The files of an archive, taken out by whichever tool there is. */
  function unpacked(bytes) {
    const folder = mkdtempSync(join(tmpdir(), 'celaest-zip-'));
    try {
      writeFileSync(join(folder, 'a.zip'), bytes);
      const out = join(folder, 'out');
      const ways = [['python3', ['-m', 'zipfile', '-t', 'a.zip'], ['-m', 'zipfile', '-e', 'a.zip', out]], ['unzip', ['-tq', 'a.zip'], ['-q', 'a.zip', '-d', out]]];
      const way = ways.find(([tool]) => spawnSync(tool, ['--help']).error === undefined);
      if (!way) return undefined;
      for (const args of way.slice(1)) {
        const { status, stderr, stdout } = spawnSync(way[0], args, { cwd: folder, encoding: 'utf8' });
        assert.equal(status, 0, stderr);
        assert.ok(!/bad|error/i.test(stdout), stdout);
      }
      return Object.fromEntries(readdirSync(out).map((name) => [name.replace('.csv', ''), readFileSync(join(out, name), 'utf8')]));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  async function archive(token, query) {
    const response = await fetch(`${stack.url}${PATH}?${new URLSearchParams({ ...query, format: 'zip' })}`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/zip');
    conforms('GET', PATH, { status: response.status, headers: response.headers, text: '' });
    return { response, bytes: Buffer.from(await response.arrayBuffer()) };
  }

  test('is an archive that others open, with every report as it is alone', async (t) => {
    const { response, bytes } = await archive(await home.token('admin'), three);
    await archive(await home.token('admin'), { ...three, compare: 'year' });
    const files = unpacked(bytes);
    if (!files) return t.skip('there is neither python3 nor unzip');
    assert.deepEqual(Object.keys(files).sort(), [
      'ai_costs', 'ai_usage', 'ai_usage_by_provider', 'dashboard', 'license_validations', 'licenses', 'roi', 'roi_by_product', 'sales',
      'sales_by_period', 'sales_by_product', 'users', 'users_active']);
    for (const report of ['sales_by_product', 'ai_usage']) assert.equal(files[report], (await file({ ...three, report })).text);
    assert.equal((await auditedBy(response)).length, 1);
  });

  test('to a client what is its own', async (t) => {
    const { bytes } = await archive(await home.token('client'), three);
    const files = unpacked(bytes);
    if (!files) return t.skip('there is neither python3 nor unzip');
    assert.deepEqual(Object.keys(files).sort(), ['ai_costs', 'ai_usage', 'ai_usage_by_provider', 'dashboard', 'license_validations', 'licenses']);
    assert.match(files.ai_usage, /\r\ntotal,,,1,1,0,/);
  });
});

test('who may', async () => {
  assert.equal(refused(await home.as.client('GET', PATH, { query: { report: 'sales' } }), 403, 'FORBIDDEN').required, 'analytics:read');
  const boss = await signedIn(stack, await createSuperAdmin(stack));
  const answer = await file({ ...three, report: 'sales', organization_id: home.id, metric: 'orders' }, boss);
  assert.match(answer.text, /\r\ntotal,,,2\r\n/);
  assert.equal((await auditedBy(answer))[0].organization_id, home.id);
});

test('what is no file', async () => {
  const wrong = async (query, field) => {
    const answer = await home.as.admin('GET', PATH, { query });
    refusedFields(answer, field);
    assert.deepEqual(await auditedBy(answer), []);
  };
  await wrong({}, 'report');
  await wrong({ report: 'happiness' }, 'report');
  await wrong({ report: 'sales', format: 'zip' }, 'report');
  await wrong({ report: 'sales', format: 'xlsx' }, 'format');
  await wrong({ report: 'sales', metric: 'happiness' }, 'metric');
  await wrong({ report: 'sales', from: '2026-03-02', to: '2026-03-02T06:00:00Z', timezone: 'America/Los_Angeles' }, 'from');
  // Nor is one of an organization that there is not.
  const boss = await signedIn(stack, await createSuperAdmin(stack));
  for (const format of ['csv', 'zip']) {
    const query = { format, ...(format === 'csv' && { report: 'sales' }), organization_id: randomUUID() };
    refused(await boss('GET', PATH, { query }), 404, 'ORGANIZATION_NOT_FOUND');
    assert.equal((await boss('HEAD', PATH, { query })).status, 404);
  }
});

test('fifty at once are three, and forty-seven that are told when to ask again; others have theirs meanwhile', async () => {
  const [greedy, other] = [await createOrganization(stack), await createOrganization(stack)];
  const ask = (call, query) => call('GET', PATH, { query: { ...three, format: 'zip', ...query } });
  const [one, ...many] = await Promise.all([ask(other.as.admin), ...Array.from({ length: 50 }, () => ask(greedy.as.admin))]);
  assert.equal(one.status, 200, one.text);
  const refusals = many.filter(({ status }) => status !== 200);
  for (const answer of refusals) {
    refused(answer, 429, 'FILES_UNDER_WAY');
    assert.equal(answer.headers.get('retry-after'), '5');
  }
  assert.ok(refusals.length >= 40 && refusals.length <= 47, `${refusals.length} refusals`);
  // What was refused leaves nothing in the log, and each that has ended makes room.
  const { rows } = await stack.pg.query("SELECT count(*)::int AS count FROM audit_logs WHERE organization_id = $1 AND event = 'analytics.exported'", [greedy.id]);
  assert.equal(rows[0].count, 50 - refusals.length);
  for (let round = 0; round < 5; round += 1) assert.equal((await ask(greedy.as.admin)).status, 200);
  for (let round = 0; round < 5; round += 1) refusedFields(await ask(greedy.as.admin, { report: 'sales' }), 'report');
  assert.equal((await ask(greedy.as.admin)).status, 200);
});
