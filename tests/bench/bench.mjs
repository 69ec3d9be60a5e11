// npm run bench: how fast the worker is, next to the platform's own floor, and what it costs.
//
// Everything runs on this machine at once (workerd, PostgreSQL, PgBouncer and the load), so the figures to
// look at are the ratios; each line is run right after what it is compared with. BENCH_SECONDS, BENCH_ROUNDS
// and BENCH_CONNECTIONS change the load, BENCH_TASKS how many AI tasks are drained, BENCH_PRODUCTS how many products
// are searched and BENCH_FACTS over how many facts reports are asked (10000,100000,1000000). "-- --edge", "-- --ai",
// "-- --selling" and "-- --analytics" measure those alone, "-- --dev" a fast build, to try the bench itself. Local object storage
// waits for the disk with each write, in workerd's only thread: TMPDIR=/dev/shm takes the disk out of the figures.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrap, onStop } from '../../scripts/lib/bootstrap.mjs';
import { Problem, steps } from '../../scripts/lib/terminal.mjs';

const AUDIT_ROWS = 60_000;
const KEYS = 1000;
const ACME = '10000000-0000-4000-8000-000000000001';
const ADMIN = '20000000-0000-4000-8000-000000000002';
const GLOBEX = '10000000-0000-4000-8000-000000000002';
const GLOBEX_MANAGER = '20000000-0000-4000-8000-000000000004';
const UNLIMITED = '4000000000';
/** Longest that the costs of one row are counted. */
const COUNT_SECONDS = 10;

/** A positive number from the environment. */
function setting(name, otherwise) {
  const number = Number(process.env[name] || otherwise);
  if (number > 0) return number;
  throw new Problem(`${name}=${process.env[name]} is not a number above zero.`);
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

await bootstrap(async ({ packages }) => {
  const CONNECTIONS = setting('BENCH_CONNECTIONS', 16);
  const TASKS = setting('BENCH_TASKS', 1000);
  const fast = process.argv.includes('--dev');
  const onlyEdge = process.argv.includes('--edge');
  const onlyAi = process.argv.includes('--ai');
  const onlySelling = process.argv.includes('--selling');
  // A catalogue takes its time to be filled, and what is measured in it is far from its aims.
  const ROUNDS = setting('BENCH_ROUNDS', onlySelling ? 3 : 5);
  const SECONDS = setting('BENCH_SECONDS', onlySelling ? 1 : 2);
  const PRODUCTS = setting('BENCH_PRODUCTS', 100_000);
  const onlyAnalytics = process.argv.includes('--analytics');
  const SIZES = (process.env.BENCH_FACTS || '10000,100000,1000000').split(',').map(Number);
  const { checkRust, wasmTarget } = await import('../../scripts/lib/rust.mjs');
  const { installTools } = await import('../../scripts/lib/tools.mjs');
  const { buildWorker, bundleSize } = await import('../../scripts/lib/build.mjs');
  const { freshVars } = await import('../../scripts/lib/dev-vars.mjs');
  const { SEEDS, createDatabase, migrate, seed, setAppPassword, withClient } = await import('../../scripts/lib/database.mjs');
  const { APP_ROLE, Cluster, DATABASE, randomPassword } = await import('../../scripts/lib/postgres.mjs');
  const { freePort } = await import('../../scripts/lib/processes.mjs');
  const { claimsOf, signToken } = await import('../../scripts/lib/token.mjs');
  const { PgBouncer, ensurePgBouncer } = await import('../harness/pgbouncer.mjs');
  const { insertApiKey } = await import('../support/tokens.mjs');
  const { insertLicenses } = await import('./keys.mjs');
  const { startWorkerd } = await import('./workerd.mjs');
  const { linesOf, measure, median, settle, table } = await import('./lines.mjs');
  const { costTable, countCosts } = await import('./costs.mjs');
  const ai = await import('./ai.mjs');
  const selling = await import('./selling.mjs');
  const { analyticsTable, measureAnalytics } = await import('./analytics.mjs');

  const folder = mkdtempSync(join(tmpdir(), 'celaest-bench-'));
  // The servers run as another user when we are root.
  chmodSync(folder, 0o711);
  const running = [];
  const close = async () => {
    while (running.length) await running.pop().stop();
    rmSync(folder, { recursive: true, force: true });
  };
  onStop(() => close().finally(() => process.exit(130)));
  const step = steps(onlyEdge ? 5 : onlyAi || onlySelling || onlyAnalytics ? 4 : 10);
  try {
    let env;
    await step('npm packages, Rust, WebAssembly target and tools', async (note) => {
      await checkRust();
      ({ env } = await wasmTarget(note));
      await installTools(note);
      return packages;
    });
    await step(`${fast ? 'fast' : 'release'} build of the worker`, (note) => buildWorker({ note, env, fast }));

    const vars = {
      ...freshVars(), LOG_LEVEL: 'warn', RATE_LIMIT_PER_MIN: UNLIMITED, VALIDATE_LIMIT_PER_LICENSE: UNLIMITED,
      VALIDATE_LIMIT_PER_IP: UNLIMITED, BROWSE_LIMIT_PER_IP: UNLIMITED,
    };
    const password = randomPassword();
    let keys;
    let apiKey;
    let database;
    let sold;
    let owner;
    await step('PostgreSQL and PgBouncer', async (note) => {
      const cluster = new Cluster({ folder: join(folder, 'postgres'), password: randomPassword(), log: join(folder, 'postgres.log') });
      await cluster.initialise();
      await cluster.start(await freePort());
      running.push(cluster);
      await createDatabase(cluster.ownerUrl('postgres'), DATABASE);
      const url = cluster.ownerUrl(DATABASE);
      owner = { url, log: cluster.log };
      await migrate(url, note);
      await setAppPassword(url, password);
      await seed(url, SEEDS.sample, vars.LICENSE_KEY_SECRET);
      await withClient(url, async (client) => {
        keys = await insertLicenses(client, { organization: ACME, product: 'BEN', count: KEYS, vars });
        ({ key: apiKey } = await insertApiKey(client, vars, { user: ADMIN, organization: ACME }));
        await insertAuditRows(client);
        await ai.prepare(client);
        if (!onlyEdge && !onlyAi && !onlyAnalytics) sold = await selling.prepare(client, vars, PRODUCTS);
        // For the floor, which has no tenants: a view sees what its owner sees.
        await client.query(`CREATE VIEW bench_licenses AS SELECT * FROM licenses; GRANT SELECT ON bench_licenses TO ${APP_ROLE}; ANALYZE`);
      });
      await ensurePgBouncer(note);
      const pooler = await PgBouncer.start({
        folder: join(folder, 'pgbouncer'), serverPort: cluster.port, ownerUrl: cluster.ownerUrl('postgres'), users: [APP_ROLE], onLine: () => {},
      });
      running.push(pooler.service);
      database = { port: pooler.port, name: DATABASE, user: APP_ROLE, password };
      return `${KEYS} licenses, ${AUDIT_ROWS} audit rows`;
    });
    const token = await signToken(claimsOf(vars, ADMIN, {}, 12 * 3600), { key: vars.SUPABASE_JWT_SECRET });
    /** Starts workerd; whoever stops it earlier than the end does no harm. */
    const start = async (name, options) => {
      const workerd = await startWorkerd({ folder: join(folder, name), vars, database, ...options });
      running.push(workerd);
      return workerd;
    };

    const aiFigures = async (note) => {
      const fake = await ai.startFake();
      running.push(fake);
      const gateway = await ai.startGateway(note);
      running.push(gateway);
      const { ports, pid, stop } = await start('ai', { vars: { ...vars, ...ai.varsFor(fake.url) }, delivering: true, provider: ai.providerAt(fake.url) });
      const delivered = ai.deliverEvery(ports.queue);
      const asked = { core: ports.core, apiKey };
      const figures = await ai.measureAi({ ...asked, fake, gateway, floor: ports.floorAi, pid, rounds: ROUNDS, seconds: SECONDS, connections: CONNECTIONS, note });
      const drained = await ai.drain({ ...asked, count: TASKS });
      await delivered();
      for (const one of [gateway, fake, { stop }]) await one.stop();
      return ai.aiTable(figures, { drained, count: TASKS });
    };
    const AI_STEP = 'AI calls: beside a gateway, on the same fake provider';
    if (onlyAi) {
      let text;
      await step(AI_STEP, async (note) => {
        text = await aiFigures(note);
      });
      process.stdout.write(`\n${text}\n`);
      return 0;
    }

    const sellingFigures = async (note) => {
      const shop = await selling.startShop();
      running.push(shop);
      const workerd = await start('selling', { vars: { ...vars, ...shop.vars }, delivering: true });
      const { sql } = linesOf({ ports: workerd.ports, keys, token, apiKey, organization: ACME });
      const figures = await selling.measureSelling({
        workerd, sql, shop: { ...sold, stripe: shop.stripe }, rounds: ROUNDS, seconds: SECONDS, connections: CONNECTIONS, note,
      });
      await workerd.stop();
      return `${table(figures.catalogue, 'sql')}\n\nA catalogue of ${PRODUCTS.toLocaleString('en')} products.\n${selling.salesTable(figures.sales)}`;
    };
    const SELLING_STEP = 'selling: from checkout to a valid license, and searches';
    if (onlySelling) {
      let text;
      await step(SELLING_STEP, async (note) => {
        text = await sellingFigures(note);
      });
      process.stdout.write(`\n${text}\n`);
      return 0;
    }

    if (onlyAnalytics) {
      let figures;
      await step(`analytics: the same questions over ${SIZES.map((size) => size.toLocaleString('en')).join(', ')} facts`, async (note) => {
        await withClient(owner.url, async (client) => {
          await client.query(`ALTER ROLE ${APP_ROLE} IN DATABASE ${DATABASE} SET log_statement = 'all'`);
          const { ports } = await start('analytics');
          const other = await signToken(claimsOf(vars, GLOBEX_MANAGER, {}, 12 * 3600), { key: vars.SUPABASE_JWT_SECRET });
          const vendors = [{ organization: ACME, buyer: GLOBEX, token }, { organization: GLOBEX, buyer: ACME, token: other }];
          figures = await measureAnalytics({ client, url: owner.url, log: owner.log, port: ports.core, vendors, sizes: SIZES, note });
        });
      });
      process.stdout.write(`\n${analyticsTable(figures)}\n\nMedians of requests one after the other; rows and pages are what PostgreSQL read for one.\n`);
      return 0;
    }

    let workerd;
    await step('workerd serve', async () => {
      workerd = await start('load', { vars: { ...vars, SNAPSHOT_TTL_SECONDS: '3600' }, delivering: true });
      return 'ready';
    });
    let lines;
    await step(`load: ${ROUNDS} rounds of ${SECONDS} s a line, ${CONNECTIONS} connections`, async (note) => {
      const all = linesOf({ ports: workerd.ports, keys, token, apiKey, organization: ACME });
      await settle(all.thousand, workerd.ports.queue);
      lines = await measure(all, { pid: workerd.pid, rounds: ROUNDS, seconds: SECONDS, connections: CONNECTIONS, note });
    });
    const figures = `
${table(lines)}

Medians of ${ROUNDS} rounds; workerd, PostgreSQL, PgBouncer and the load share ${cpus().length} cores. CPU is the
whole of workerd for one request, HTTP, objects and queues included.
`;
    if (onlyEdge) {
      process.stdout.write(figures);
      return 0;
    }

    const exports = {};
    await step('audit export: three files of each kind', async () => {
      for (const format of ['csv', 'jsonl']) {
        const rates = [];
        for (let file = 0; file < 3; file += 1) rates.push(await download({ port: workerd.ports.core, token, format }));
        exports[format] = Math.round(median(rates)).toLocaleString('en');
      }
      await workerd.stop();
    });

    let costs;
    await step('costs: what the platform bills, counted', async (note) => {
      costs = await countCosts({
        start: (more) => start('costs', { vars: { ...vars, ...more }, counting: true }),
        seconds: Math.min(COUNT_SECONDS, SECONDS * 5), keys, token, apiKey, note,
      });
    });

    let aiText;
    await step(AI_STEP, async (note) => {
      aiText = await aiFigures(note);
    });

    let sellingText;
    await step(SELLING_STEP, async (note) => {
      sellingText = await sellingFigures(note);
    });

    const { raw, gzipped } = bundleSize();
    process.stdout.write(`${figures}
Audit export of ${AUDIT_ROWS.toLocaleString('en')} rows: ${exports.csv} rows/s as CSV, ${exports.jsonl} rows/s as JSON lines.

${costTable(costs)}

How they are counted and what is left out: docs/edge.md.

${aiText}

${sellingText}

Bundle: ${(raw / 1e6).toFixed(2)} MB, gzipped ${(gzipped / 1e6).toFixed(2)} MB.
${fast ? 'This was a fast build: none of these speeds count.\n' : ''}`);
    return 0;
  } finally {
    await close();
  }
});
