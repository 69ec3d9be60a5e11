// A business with a history: facts for `bench.mjs -- --analytics`, written as a restored backup would be, without their
// triggers, and then added up by the product's own `npm run analytics:backfill`.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../scripts/lib/paths.mjs';

/** Facts written in one statement. */
const STEP = 50_000;
/** What is kept for a time is kept for ever here. */
const KEPT = ['tasks.retention_days', 'license.validation_retention_days'];

/** A number from 0 to `most` - 1 that is the same for the same n. */
const draw = (name, most) => `((hashtextextended(n::text || '${name}', 0) & 2147483647) % ${most})`;

/** Months of the past that what grows has a partition for, as if they had gone by here. */
const PARTITIONS = `DO $$
DECLARE
    parent text;
    month  timestamptz;
    name   text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['processed_tasks', 'license_validations'] LOOP
        FOR n IN 1..109 LOOP
            month := date_trunc('month', now(), 'UTC') - make_interval(months => n);
            name := parent || to_char(month AT TIME ZONE 'UTC', '"_y"YYYY"m"MM');
            CONTINUE WHEN to_regclass(name) IS NOT NULL;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent, month, month + interval '1 month');
            PERFORM protect_partition(name, parent);
        END LOOP;
    END LOOP;
END
$$`;

/** Makes room for the past, as old as it is: what is too old to have quarters of an hour gets none. */
export async function prepareHistory(client) {
  await client.query(PARTITIONS);
  await client.query(
    "INSERT INTO system_config (key, value) SELECT key, '9999' FROM unnest($1::text[]) AS key ON CONFLICT (key) DO UPDATE SET value = excluded.value", [KEPT]);
  await client.query('SELECT analytics_prune(1)');
}

/**
 * Writes facts number `first` to `last`, a quarter orders, a quarter AI tasks, half validations. So many are of each day,
 * the first of yesterday: those that are added make the history longer, and no day fuller.
 */
export async function sow(client, { organization, buyer, first, last, perDay }) {
  const at = `(date_trunc('day', now()) - make_interval(secs => (n - ${draw('at', 1_000)} / 1000.0) * ${86_400 / perDay}))`;
  const ids = (sql, values) => client.query(sql, values).then(({ rows }) => rows.map(({ id }) => id));
  const [person] = await ids('SELECT id FROM users_profile WHERE organization_id = $1 ORDER BY id LIMIT 1', [buyer]);
  const [license] = await ids('SELECT id FROM licenses WHERE product_id IS NOT NULL ORDER BY id LIMIT 1');
  const products = await ids("SELECT id FROM products WHERE status = 'published' ORDER BY id LIMIT 8");
  const people = await ids('SELECT id FROM users_profile WHERE organization_id = $1 ORDER BY id', [organization]);
  const models = await ids('SELECT id FROM ai_models ORDER BY id LIMIT 4');
  const pick = (list, name) => `(ARRAY[${list.map((id) => `'${id}'`)}]::uuid[])[1 + ${draw(name, list.length)}]`;
  await client.query("SET session_replication_role = 'replica'");
  for (let from = first; from <= last; from += STEP) {
    const numbers = (...remainders) => `generate_series(${from}, ${Math.min(last, from + STEP - 1)}) AS n WHERE n % 4 IN (${remainders})`;
    await client.query(`
      WITH n AS MATERIALIZED (SELECT n, md5('${organization}' || ${perDay} || n)::uuid AS id, ${at} AS at, (100 + ${draw('price', 9_900)}) / 100.0 AS price FROM ${numbers(0)}), made AS (
        INSERT INTO orders (id, organization_id, user_id, seller_id, status, currency, subtotal, total, created_at, completed_at)
        SELECT id, '${buyer}', '${person}', '${organization}', 'completed', (ARRAY['USD', 'EUR'])[1 + ${draw('currency', 2)}], price, price, at, at FROM n)
      INSERT INTO order_items (order_id, organization_id, product_id, name, unit_price, total, list_total, net_total)
      SELECT id, '${buyer}', ${pick(products, 'product')}, 'x', price, price, price, price FROM n`);
    await client.query(`
      INSERT INTO processed_tasks (organization_id, user_id, license_id, model_id, status, tokens_input, tokens_output, cost_usd, execution_time_ms, created_at, completed_at)
      SELECT '${organization}', ${pick(people, 'person')}, '${license}', ${pick(models, 'model')}, (ARRAY['completed', 'completed', 'failed']::task_status[])[1 + ${draw('status', 3)}],
        ${draw('in', 4_000)}, ${draw('out', 4_000)}, ${draw('cost', 9_000)} / 1e6, 200 + ${draw('ms', 9_000)}, ${at}, ${at} FROM ${numbers(1)}`);
    await client.query(`
      INSERT INTO license_validations (license_id, organization_id, ip_address, is_valid, failure_reason, country, device_info, created_at)
      SELECT '${license}', '${organization}', '192.0.2.1', v = 0, CASE WHEN v > 0 THEN 'IP_LIMIT_REACHED' END,
        (ARRAY['AR', 'ES', 'MX', 'US'])[1 + ${draw('country', 4)}], jsonb_build_object('app_version', '1.' || ${draw('version', 5)}), ${at}
      FROM (SELECT n, ${draw('verdict', 3)} AS v FROM ${numbers(2, 3)}) AS n`);
  }
  await client.query("SET session_replication_role = 'origin'");
}

/** Adds up the facts of so many days, by the command for it; returns how many seconds that took. */
export async function addUp(url, { from, to }) {
  const began = performance.now();
  const child = spawn(process.execPath, [join(ROOT, 'scripts/analytics.mjs'), 'backfill', '--from', from, '--to', to], {
    env: { ...process.env, DATABASE_URL: url }, stdio: ['ignore', 'ignore', 'inherit'],
  });
  const code = await new Promise((resolve, reject) => { child.on('exit', resolve).on('error', reject); });
  if (code !== 0) throw new Error(`analytics:backfill ended with ${code}`);
  return (performance.now() - began) / 1000;
}
