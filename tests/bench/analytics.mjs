// What the numbers of a business cost to ask for: the time of an answer, and what its statements read.
//
// As its history grows: facts of the same density are added before those that there are, so that a million are eight
// years, and the same questions are asked of the same days. And as its days fill up: more facts in the same 300 days.
// A day has a cell for each thing that is told apart, then, and no more: what can be read at most is printed.

import { readFileSync } from 'node:fs';
import { transactionsOf } from '../support/statements.mjs';
import { addUp, prepareHistory, sow } from './business.mjs';

/** Facts a day while the history grows: ten thousand a month of thirty days. */
const PER_DAY = 10_000 / 30;
/** The days that fill up, and are all that the longest question asks about. */
const DAYS = 300;
/** Requests before those that count, and those that do. */
const WARM = 5;
const COUNTED = 40;
/** How much more an answer may cost with a hundred times the history. */
const AIM = 1.5;

const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
const question = (report, about, more) => ({ about, path: `/api/analytics/${report}?${new URLSearchParams({ from: day(about), to: day(0), ...more })}` });

/** The questions, and how many days they are about. */
const QUESTIONS = {
  'dashboard, 30 days': question('dashboard', 30),
  'sales by day, 30 days': question('sales/by-period', 30, { granularity: 'day' }),
  'the same in Madrid': question('sales/by-period', 30, { granularity: 'day', timezone: 'Europe/Madrid' }),
  'AI by provider and day, 30 days': question('ai-usage/by-provider', 30, { granularity: 'day' }),
  'sales by month, 300 days, Madrid': question('sales/by-period', DAYS, { granularity: 'month', timezone: 'Europe/Madrid' }),
};

/** The rows that the scans of a plan looked at; what an index alone leads to is counted where it is read. */
function rowsRead(node, parent) {
  const type = node['Node Type'];
  const isScan = /Scan$/.test(type) && !/^(Subquery|CTE|Values|Function|Result)/.test(type) && !(type === 'Bitmap Index Scan' && parent === 'Bitmap Heap Scan');
  const here = isScan ? (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)) * node['Actual Loops'] : 0;
  return here + (node.Plans ?? []).reduce((sum, plan) => sum + rowsRead(plan, type), 0);
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

/**
 * The most rows that a question about sales can read: those of each thing that is told apart, in each of the days, hours
 * and quarters that its points are made of.
 */
const MOST = `SELECT (sum(extract(epoch FROM s.upper_end - s.lower_end) / 60 / s.span) * (
    SELECT count(*) FROM (SELECT DISTINCT r.currency, r.kind FROM rollup_sales r WHERE r.breakdown = 'total') AS t))::int AS most
  FROM generate_series(date_trunc($3, $1::timestamp), $2::timestamp - interval '1 second', ('1 ' || $3)::interval) AS b
  CROSS JOIN LATERAL analytics_spans(greatest(b, $1::timestamp) AT TIME ZONE $4, least(b + ('1 ' || $3)::interval, $2::timestamp) AT TIME ZONE $4) AS s`;

/** Asks each question of a history of so many days; gives a list of `{ facts, question, ms, rows, buffers, statements, most }`. */
async function askAll({ client, log, port, token, facts, days }) {
  const figures = [];
  for (const [question, { about, path }] of Object.entries(QUESTIONS)) {
    // Of a history that is shorter there would be less to read.
    if (about > days) continue;
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
    const { from, to, granularity, timezone = 'UTC' } = Object.fromEntries(new URL(path, 'http://x').searchParams);
    const most = path.includes('/sales/') ? (await client.query(MOST, [from, to, granularity, timezone])).rows[0].most : undefined;
    figures.push({ facts, question, ms, most, ...await readBy(client, log, ask) });
  }
  return figures;
}

/**
 * Measures both. `vendors` are two of them, each with its `organization`, its `buyer` and a `token`: that whose history
 * grows, and that whose days fill up. Gives lists of what `askAll` gives, and of how much each step was to add up.
 */
export async function measureAnalytics({ client, url, log, port, vendors, sizes, note }) {
  const figures = { longer: [], denser: [] };
  const made = [];
  await client.query("SELECT set_config('celaest.access', 'system', false)");
  await prepareHistory(client);
  const step = async (kind, vendor, { there, facts, days, perDay, until }) => {
    const count = facts.toLocaleString('en');
    note(`${count} facts of ${days} days: being written`);
    await sow(client, { ...vendor, first: there + 1, last: facts, perDay });
    await client.query('VACUUM ANALYZE');
    note(`${count} facts of ${days} days: being added up`);
    const seconds = await addUp(url, { from: day(days), to: day(until) });
    // The return on AI is measured by a job of its own.
    await client.query('DELETE FROM roi_due');
    await client.query('VACUUM ANALYZE');
    const { rows: [size] } = await client.query(`SELECT sum(pg_total_relation_size(oid))::float8 / 1e6 AS mb, sum(reltuples)::int AS cells
      FROM pg_class WHERE relkind = 'r' AND relname ~ '^rollup_'`);
    made.push({ kind, facts: facts - there, days, seconds, ...size });
    note(`${count} facts of ${days} days: asked about`);
    figures[kind].push(...await askAll({ client, log, port, token: vendor.token, facts, days }));
  };
  let there = 0;
  for (const facts of sizes) {
    await step('longer', vendors[0], { there, facts, days: Math.round(facts / PER_DAY), perDay: PER_DAY, until: Math.round(there / PER_DAY) });
    there = facts;
  }
  // A million facts in these days would be added up for minutes, and read no more rows than there can be.
  for (const facts of sizes.slice(0, 2)) await step('denser', vendors[1], { there: 0, facts, days: DAYS, perDay: facts / DAYS, until: 0 });
  return { figures, made };
}

const aligned = (lines) => {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')).join('\n');
};

/** Figures as a table, each beside those of the fewest facts; says whether all of them are `aim` times those at most. */
function tableOf(figures, aim) {
  const lines = [['question', 'facts', 'ms', 'times', 'rows read', 'times', 'at most', 'pages', 'statements']];
  let worst = 0;
  for (const question of new Set(figures.map((one) => one.question))) {
    const of = figures.filter((one) => one.question === question);
    for (const { facts, ms, rows, most, buffers, statements } of of) {
      const times = [ms / of[0].ms, rows / of[0].rows];
      worst = Math.max(worst, ...times);
      lines.push([question, facts.toLocaleString('en'), ms.toFixed(1), times[0].toFixed(2), String(rows), times[1].toFixed(2), most === undefined ? '' : String(most),
        String(buffers), String(statements)]);
    }
  }
  const words = aim && `\nFlat within ${aim}: ${worst.toFixed(2)}, ${worst <= aim ? 'reached' : 'missed'}.`;
  return `${aligned(lines)}${words ?? ''}`;
}

/** All of it as text. */
export function analyticsTable({ figures, made }) {
  const steps = made.map(({ kind, facts, days, seconds, cells, mb }) => [
    kind === 'longer' ? 'a longer history' : 'fuller days', facts.toLocaleString('en'), String(days), seconds.toFixed(0), Math.round(facts / seconds).toLocaleString('en'),
    cells.toLocaleString('en'), mb.toFixed(0)]);
  return `The history grows, ${Math.round(PER_DAY)} facts a day:
${tableOf(figures.longer, AIM)}

The same ${DAYS} days fill up:
${tableOf(figures.denser)}

Added up by analytics:backfill, and what all of that takes:
${aligned([['', 'facts', 'days', 'seconds', 'facts/s', 'rows', 'MB'], ...steps])}`;
}
