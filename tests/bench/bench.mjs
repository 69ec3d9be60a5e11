// npm run bench: how fast the worker is, next to the platform's own floor.
//
// Everything runs on this machine at once (workerd, PostgreSQL, PgBouncer and the load),
// so the figures to look at are the ratios. BENCH_SECONDS and BENCH_CONNECTIONS change
// the load. Local object storage waits for the disk with each write, in workerd's only
// thread: TMPDIR=/dev/shm takes the disk out of the figures.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrap, onStop } from '../../scripts/lib/bootstrap.mjs';
import { steps } from '../../scripts/lib/terminal.mjs';

const ROUNDS = 3;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 5);
const CONNECTIONS = Number(process.env.BENCH_CONNECTIONS ?? 16);
const KEYS = 1000;
const AUDIT_ROWS = 60_000;
const AIM = 0.6;
const ACME = '10000000-0000-4000-8000-000000000001';
const ADMIN = '20000000-0000-4000-8000-000000000002';
const UNLIMITED = '4000000000';
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Licenses with keys that are valid for `secret`, inserted in one statement. */
async function insertLicenses(client, secret, licenseKey) {
  const keys = Array.from({ length: KEYS }, (_, index) => {
    const random = [...Array(8).keys()].map((place) => ALPHABET[(index >> (5 * (7 - place))) & 31]).join('');
    return licenseKey('BEN', random, secret);
  });
  await client.query(
    `INSERT INTO licenses (organization_id, plan_id, license_key, status, expires_at, billing_cycle)
     SELECT $1, '30000000-0000-4000-8000-000000000003', key, 'active', now() + interval '1 year', 'yearly'
     FROM unnest($2::text[]) AS key`,
    [ACME, keys],
  );
  return keys;
}

/** Audit rows as changes of licenses leave them, inserted in one statement. */
function insertAuditRows(client) {
  return client.query(
    `INSERT INTO audit_logs (organization_id, user_id, action, event, resource_type, resource_id, changes, request_id, ip_address, user_agent)
     SELECT $1, $2, 'update', 'license.updated', 'license', uuid_generate_v4(),
       jsonb_build_object('before', jsonb_build_object('status', 'active', 'notes', 'n' || n), 'after', jsonb_build_object('status', 'suspended', 'notes', 'm' || n)),
       uuid_generate_v4()::text, '192.0.2.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
     FROM generate_series(1, $3::int) AS n`,
    [ACME, ADMIN, AUDIT_ROWS],
  );
}

/** Downloads the audit log as a file; returns rows per second. */
async function download({ port, token, format }) {
  const started = performance.now();
  const response = await fetch(`http://127.0.0.1:${port}/api/audit-logs/export?format=${format}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  let rows = 0;
  for await (const chunk of response.body) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) rows += 1;
  }
  if (response.status !== 200 || rows < AUDIT_ROWS) throw new Error(`an export was ${response.status} with ${rows} rows`);
  return (rows * 1000) / (performance.now() - started);
}

/** The middle one of three. */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** The scenarios: what is asked, where, and what a right answer contains. */
function scenarios({ request, ports, keys, token, apiKey }) {
  // What a program sends: the floor gets the same bytes.
  const validation = (port, path, key, index) => request({
    port, path, method: 'POST',
    headers: { 'cf-connecting-ip': `198.18.${index >> 8}.${index & 255}`, 'user-agent': 'bench/1.0' },
    body: { license_key: key, machine_id: 'bench-machine', nonce: 'a1b2c3d4e5f6' },
  });
  const list = request({
    port: ports.core, path: '/api/licenses?per_page=20', headers: { authorization: `Bearer ${token}` },
  });
  const me = request({ port: ports.core, path: '/api/auth/me', headers: { 'x-api-key': apiKey } });
  return [
    { name: '(a) JavaScript worker, one object hop', port: ports.floor, expects: '"success":true',
      requests: [validation(ports.floor, '/one', keys[0], 0)] },
    { name: '    the same over 1,000 objects', port: ports.floor, expects: '"success":true',
      requests: keys.map((key, index) => validation(ports.floor, `/${index}`, key, index)) },
    { name: '(b) validate, one warm key', port: ports.core, expects: '"valid":true',
      requests: [validation(ports.core, '/api/licenses/validate', keys[0], 0)] },
    { name: '(c) validate, 1,000 warm keys', port: ports.core, expects: '"valid":true',
      requests: keys.map((key, index) => validation(ports.core, '/api/licenses/validate', key, index)) },
    { name: '(d) list of 20 licenses, PgBouncer', port: ports.core, expects: '"per_page":20', requests: [list] },
    { name: '(e) who am I, with an API key', port: ports.core, expects: '"success":true', requests: [me] },
  ];
}

/** Runs the scenarios in alternating rounds, so that a slow minute hits all of them. */
async function measure(all, { once, load }, note) {
  const rounds = all.map(() => []);
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [index, scenario] of all.entries()) {
      // Objects leave memory after ten idle seconds; warm means that they are in it.
      await once(scenario);
      rounds[index].push(await load({ ...scenario, connections: CONNECTIONS, seconds: SECONDS }));
      note(`round ${round} of ${ROUNDS}  ${scenario.name.padEnd(38)} ${Math.round(rounds[index].at(-1).rate)} requests/s`);
    }
  }
  return all.map(({ name }, index) => ({
    name,
    ...Object.fromEntries(['rate', 'p50', 'p99'].map((figure) => [figure, median(rounds[index].map((one) => one[figure]))])),
  }));
}

/** The figures as a table, medians of the rounds. */
function table(results) {
  const floor = results[0].rate;
  const row = (name, ...cells) => `${name.padEnd(40)}${cells.map((cell) => cell.padStart(12)).join('')}`;
  return [
    row('', 'requests/s', 'p50', 'p99', 'of (a)'),
    ...results.map(({ name, rate, p50, p99 }) => row(
      name, Math.round(rate).toLocaleString('en'), `${p50.toFixed(2)} ms`, `${p99.toFixed(2)} ms`, (rate / floor).toFixed(2),
    )),
  ].join('\n');
}

await bootstrap(async ({ packages }) => {
  const { checkRust, wasmTarget } = await import('../../scripts/lib/rust.mjs');
  const { installTools } = await import('../../scripts/lib/tools.mjs');
  const { buildWorker, bundleSize } = await import('../../scripts/lib/build.mjs');
  const { freshVars } = await import('../../scripts/lib/dev-vars.mjs');
  const { SEEDS, createDatabase, migrate, seed, setAppPassword, withClient } = await import('../../scripts/lib/database.mjs');
  const { APP_ROLE, Cluster, DATABASE, randomPassword } = await import('../../scripts/lib/postgres.mjs');
  const { freePort } = await import('../../scripts/lib/processes.mjs');
  const { licenseKey } = await import('../../scripts/lib/license-key.mjs');
  const { signToken } = await import('../../scripts/lib/token.mjs');
  const { insertApiKey } = await import('../support/tokens.mjs');
  const { PgBouncer, ensurePgBouncer } = await import('../harness/pgbouncer.mjs');
  const { startWorkerd } = await import('./workerd.mjs');
  const generator = await import('./load.mjs');

  const folder = mkdtempSync(join(tmpdir(), 'celaest-bench-'));
  // The servers run as another user when we are root.
  chmodSync(folder, 0o711);
  const running = [];
  const close = async () => {
    while (running.length) await running.pop().stop();
    rmSync(folder, { recursive: true, force: true });
  };
  onStop(() => close().finally(() => process.exit(130)));
  const step = steps(6);
  try {
    let env;
    await step('npm packages, Rust, WebAssembly target and tools', async (note) => {
      await checkRust();
      ({ env } = await wasmTarget(note));
      await installTools(note);
      return packages;
    });
    await step('release build of the worker', (note) => buildWorker({ note, env }));

    const vars = {
      ...freshVars(), LOG_LEVEL: 'warn', RATE_LIMIT_PER_MIN: UNLIMITED, VALIDATE_LIMIT_PER_LICENSE: UNLIMITED,
      VALIDATE_LIMIT_PER_IP: UNLIMITED, SNAPSHOT_TTL_SECONDS: '3600',
    };
    let keys;
    let apiKey;
    let pooler;
    const password = randomPassword();
    await step('PostgreSQL and PgBouncer', async (note) => {
      const cluster = new Cluster({ folder: join(folder, 'postgres'), password: randomPassword(), log: join(folder, 'postgres.log') });
      await cluster.initialise();
      await cluster.start(await freePort());
      running.push(cluster);
      await createDatabase(cluster.ownerUrl('postgres'), DATABASE);
      const url = cluster.ownerUrl(DATABASE);
      await migrate(url, note);
      await setAppPassword(url, password);
      await seed(url, SEEDS.sample, vars.LICENSE_KEY_SECRET);
      keys = await withClient(url, (client) => insertLicenses(client, vars.LICENSE_KEY_SECRET, licenseKey));
      ({ key: apiKey } = await withClient(url, (client) => insertApiKey(client, vars, { user: ADMIN, organization: ACME })));
      await withClient(url, insertAuditRows);
      await ensurePgBouncer(note);
      pooler = await PgBouncer.start({
        folder: join(folder, 'pgbouncer'), serverPort: cluster.port, users: { [APP_ROLE]: password }, onLine: () => {},
      });
      running.push(pooler.service);
      return `${KEYS} licenses, ${AUDIT_ROWS} audit rows`;
    });
    let workerd;
    await step('workerd serve', async () => {
      const database = { port: pooler.port, name: DATABASE, user: APP_ROLE, password };
      workerd = await startWorkerd({ folder, vars, database });
      running.push(workerd);
      return 'ready';
    });
    let results;
    const token = await signToken(vars, { sub: ADMIN });
    await step(`load: ${ROUNDS} rounds of ${SECONDS} s, ${CONNECTIONS} connections`, async (note) => {
      const all = scenarios({ request: generator.request, ports: workerd.ports, keys, token, apiKey });
      results = await measure(all, generator, note);
    });

    const exports = {};
    await step(`audit export: ${ROUNDS} files of each kind`, async () => {
      for (const format of ['csv', 'jsonl']) {
        const rates = [];
        for (let round = 0; round < ROUNDS; round += 1) rates.push(await download({ port: workerd.ports.core, token, format }));
        exports[format] = Math.round(median(rates)).toLocaleString('en');
      }
      return 'done';
    });

    const { raw, gzipped } = bundleSize();
    const reached = results[3].rate / results[0].rate;
    process.stdout.write(`
${table(results)}
Audit export of ${AUDIT_ROWS.toLocaleString('en')} rows: ${exports.csv} rows/s as CSV, ${exports.jsonl} rows/s as JSON lines.

Medians of ${ROUNDS} rounds; workerd, PostgreSQL, PgBouncer and the load share ${cpus().length} cores.
Aim: (c) at least ${AIM} of (a). Reached: ${reached.toFixed(2)}.
Bundle: ${(raw / 1e6).toFixed(2)} MB, gzipped ${(gzipped / 1e6).toFixed(2)} MB.
`);
    return 0;
  } finally {
    await close();
  }
});
