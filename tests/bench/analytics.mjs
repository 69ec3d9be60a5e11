// What the numbers of a business cost to ask for, over more and more facts: the time of an answer, and the rows that
// its statements read. The facts are of the same 300 days at every size: what grows is the history in each of them.

import { readFileSync } from 'node:fs';
import { transactionsOf } from '../support/statements.mjs';

const GLOBEX = '10000000-0000-4000-8000-000000000002';
const DAYS = 300;
/** Facts written in one statement. */
const STEP = 50_000;
/** Requests before those that count, and those that do. */
const WARM = 5;
const COUNTED = 40;

const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);

/** The questions: what is asked of all facts at any size. */
const questions = () => ({
  'dashboard, 30 days': `/api/analytics/dashboard?from=${day(30)}&to=${day(0)}`,
  'sales by day, 30 days': `/api/analytics/sales/by-period?granularity=day&from=${day(30)}&to=${day(0)}`,
  'the same in Madrid': `/api/analytics/sales/by-period?granularity=day&timezone=Europe/Madrid&from=${day(30)}&to=${day(0)}`,
  'sales by month, 300 days, Madrid': `/api/analytics/sales/by-period?granularity=month&timezone=Europe/Madrid&from=${day(DAYS)}&to=${day(0)}`,
});

/** A number from 0 to `most` - 1 that is the same for the same n. */
const draw = (name, most) => `((hashtextextended(n::text || '${name}', 0) & 2147483647) % ${most})`;
const at = `(date_trunc('day', now()) - make_interval(secs => ${draw('at', DAYS * 86_400)}::float8))`;

/** Facts number `first` to `last`: a quarter orders, a quarter AI tasks, half validations. */
async function sow(client, organization, first, last) {
  const ids = { organization, buyer: GLOBEX };
  const one = async (name, sql) => { [ids[name]] = (await client.query(sql)).rows.map(({ id }) => id); };
  await one('person', `SELECT id FROM users_profile WHERE organization_id = '${GLOBEX}' LIMIT 1`);
  const { rows: products } = await client.query('SELECT id FROM products WHERE organization_id = $1', [organization]);
  await one('license', `SELECT id FROM licenses WHERE organization_id = '${organization}' AND product_id IS NOT NULL LIMIT 1`);
  const { rows: people } = await client.query('SELECT id FROM users_profile WHERE organization_id = $1', [organization]);
  const { rows: models } = await client.query('SELECT id FROM ai_models LIMIT 4');
  const pick = (list, name) => `(ARRAY[${list.map(({ id }) => `'${id}'`)}]::uuid[])[1 + ${draw(name, list.length)}]`;
  for (let from = first; from <= last; from += STEP) {
    const numbers = (remainders) => `generate_series(${from}, ${Math.min(last, from + STEP - 1)}) AS n WHERE n % 4 IN (${remainders})`;
    await client.query(`
      WITH n AS (SELECT n, md5('order' || n)::uuid AS id, ${at} AS at, 100 + ${draw('price', 9_900)} AS cents FROM ${numbers([0])}), made AS (
        INSERT INTO orders (id, organization_id, user_id, seller_id, status, currency, subtotal, total, created_at, completed_at)
        SELECT id, '${GLOBEX}', '${ids.person}', '${organization}', 'completed', (ARRAY['USD', 'EUR'])[1 + ${draw('currency', 2)}], cents / 100.0, cents / 100.0, at, at FROM n)
      INSERT INTO order_items (order_id, organization_id, product_id, name, unit_price, total, list_total, net_total)
      SELECT id, '${GLOBEX}', ${pick(products, 'product')}, 'x', cents / 100.0, cents / 100.0, cents / 100.0, cents / 100.0 FROM n`);
    await client.query(`
      INSERT INTO processed_tasks (organization_id, user_id, license_id, model_id, status, tokens_input, tokens_output, cost_usd, execution_time_ms, created_at, completed_at)
      SELECT '${organization}', ${pick(people, 'person')}, '${ids.license}', ${pick(models, 'model')}, (ARRAY['completed', 'completed', 'failed']::task_status[])[1 + ${draw('status', 3)}],
        ${draw('in', 4_000)}, ${draw('out', 4_000)}, ${draw('cost', 9_000)} / 1e6, 200 + ${draw('ms', 9_000)}, ${at}, ${at} FROM ${numbers([1])}`);
    await client.query(`
      INSERT INTO license_validations (license_id, organization_id, ip_address, is_valid, failure_reason, country, device_info, created_at)
      SELECT '${ids.license}', '${organization}', '192.0.2.1', v = 0, CASE WHEN v > 0 THEN 'IP_LIMIT_REACHED' END,
        (ARRAY['AR', 'ES', 'MX', 'US'])[1 + ${draw('country', 4)}], jsonb_build_object('app_version', '1.' || ${draw('version', 5)}), at
      FROM (SELECT n, ${draw('verdict', 3)} AS v, ${at} AS at FROM ${numbers([2, 3])}) AS n`);
  }
}

/** The rows that the scans of a plan looked at. */
function rowsRead(node) {
  const isScan = /Scan$/.test(node['Node Type']) && !/^(Subquery|CTE|Values|Function|Result)/.test(node['Node Type']);
  const here = isScan ? (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)) * node['Actual Loops'] : 0;
  return here + (node.Plans ?? []).reduce((sum, plan) => sum + rowsRead(plan), 0);
}

/** What the statements of one request read: rows and buffers. */
async function readBy(client, log, ask) {
  const start = readFileSync(log).length;
  await ask();
  // The server's log comes through a pipe.
  await new Promise((resolve) => { setTimeout(resolve, 500); });
  const transactions = transactionsOf(readFileSync(log).subarray(start).toString());
  let [rows, buffers, statements] = [0, 0, 0];
  await client.query('BEGIN');
  for (const { settings, statements: sent } of transactions) {
    for (const [index, name] of ['access', 'organization_id', 'owner_id', 'user_id'].entries()) {
      await client.query('SELECT set_config($1, $2, true)', [`celaest.${name}`, settings[index] ?? '']);
    }
    await client.query('SET LOCAL ROLE celaest_app');
    for (const { sql, params } of sent) {
      if (!/analytics_/.test(sql)) continue;
      const values = params.map((value) => (value === null ? 'NULL' : client.escapeLiteral(value)));
      await client.query(`PREPARE asked ${params.length ? `(${params.map(() => 'text')})` : ''} AS ${sql}`);
      const { rows: [{ 'QUERY PLAN': [{ Plan: plan }] }] } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked ${values.length ? `(${values})` : ''}`);
      await client.query('DEALLOCATE asked');
      rows += rowsRead(plan);
      buffers += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      statements += 1;
    }
    await client.query('RESET ROLE');
  }
  await client.query('ROLLBACK');
  return { rows: Math.round(rows), buffers, statements };
}

/** Asks each question over each number of facts; gives a list of `{ facts, question, ms, rows, buffers, statements }`. */
export async function measureAnalytics({ client, log, port, token, organization, sizes, note }) {
  const figures = [];
  let there = 0;
  for (const facts of sizes) {
    note(`${facts.toLocaleString('en')} facts`);
    await sow(client, organization, there + 1, facts);
    there = facts;
    await client.query("SELECT set_config('celaest.access', 'system', false)");
    for (let taken = 1; taken > 0;) [{ taken }] = (await client.query('SELECT analytics_aggregate(5000) AS taken')).rows;
    await client.query('DELETE FROM roi_due');
    await client.query('VACUUM ANALYZE');
    for (const [question, path] of Object.entries(questions())) {
      const ask = async () => {
        const began = performance.now();
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${token}` } });
        const text = await response.text();
        if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
        return performance.now() - began;
      };
      for (let n = 0; n < WARM; n += 1) await ask();
      const times = [];
      for (let n = 0; n < COUNTED; n += 1) times.push(await ask());
      const ms = times.sort((a, b) => a - b)[COUNTED / 2];
      figures.push({ facts, question, ms, ...await readBy(client, log, ask) });
    }
  }
  return figures;
}

/** The figures as a table; each with how it compares with the fewest facts. */
export function analyticsTable(figures) {
  const lines = [['question', 'facts', 'ms', 'times', 'rows read', 'times', 'pages', 'statements']];
  for (const question of new Set(figures.map((one) => one.question))) {
    const of = figures.filter((one) => one.question === question);
    for (const { facts, ms, rows, buffers, statements } of of) {
      const times = (value, first) => (value / first).toFixed(2);
      lines.push([question, facts.toLocaleString('en'), ms.toFixed(1), times(ms, of[0].ms), String(rows), times(rows, of[0].rows), String(buffers), String(statements)]);
    }
  }
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')).join('\n');
}
