// The statements that a worker really sends, read from the log of its PostgreSQL server, and the means to
// send them again with other values, other conditions and another caller.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { eventually } from './api.mjs';

const ENTRY = /^\d{4}-\d\d-\d\d \S+ \w+ \[(\d+)\] (\w+): {1,2}(.*)$/;

/** Log lines as entries: the text of one goes on in lines that begin with a tab. */
function* entriesOf(text) {
  let entry;
  for (const line of text.split('\n')) {
    const [, pid, kind, start] = ENTRY.exec(line) ?? [];
    if (pid) {
      if (entry) yield entry;
      entry = { pid, kind, text: start };
    } else if (entry && line.startsWith('\t')) {
      entry.text += `\n${line.slice(1)}`;
    }
  }
  if (entry) yield entry;
}

/** `$1 = 'it''s', $2 = NULL` as a list. */
function parametersOf(text) {
  return [...text.matchAll(/\$\d+ = (?:NULL|'((?:[^']|'')*)')(?:, |$)/g)].map(([, value]) => value?.replaceAll("''", "'") ?? null);
}

/** The transactions in a piece of the log: `{ settings: [access, organization, owner, user], statements: [{ sql, params }] }`. */
export function transactionsOf(text) {
  const open = new Map();
  const all = [];
  for (const { pid, kind, text: content } of entriesOf(text)) {
    const transaction = open.get(pid);
    const sql = kind === 'LOG' ? content.match(/^execute <unnamed>: ([^]*)$/)?.[1] : undefined;
    if (sql === 'BEGIN') {
      open.set(pid, { statements: [] });
      all.push(open.get(pid));
    } else if (sql === 'COMMIT' || sql === 'ROLLBACK') {
      open.delete(pid);
    } else if (transaction && sql) {
      transaction.statements.push({ sql, params: [] });
    } else if (transaction?.statements.length && kind === 'DETAIL' && /^parameters: /i.test(content)) {
      transaction.statements.at(-1).params = parametersOf(content);
    }
  }
  // One that had only just begun says nothing yet.
  return all.filter(({ statements }) => statements.length).map(({ statements: [settings, ...statements] }) => {
    assert.match(settings.sql, /set_config\('celaest\.access'/, 'a transaction does not begin with its settings');
    return { settings: settings.params, statements };
  });
}

/** Makes the server log every statement of a stack's worker; `recorded(work)` gives the transactions of `work`. */
export async function recorder(stack) {
  const { rows: [{ name }] } = await stack.pg.query('SELECT current_database() AS name');
  await stack.pg.query(`ALTER ROLE celaest_app IN DATABASE ${name} SET log_statement = 'all'`);
  // Connections that the pooler made before do not know.
  await stack.pg.query(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'celaest_app' AND datname = $1`, [name]);
  await eventually(async () => (await fetch(`${stack.url}/health/ready`)).ok);
  const marker = new pg.Client({ connectionString: stack.appUrl });
  await marker.connect();

  /** Where the log ends, once everything before now is in it. */
  async function here() {
    const mark = `mark ${randomUUID()}`;
    await marker.query(`SELECT '${mark}'`);
    return eventually(() => {
      const log = readFileSync(stack.serverLog);
      const at = log.lastIndexOf(mark);
      return at >= 0 && at + mark.length;
    }, 15_000, 10);
  }

  return {
    async recorded(work) {
      const start = await here();
      const result = await work();
      const end = await here();
      return { result, transactions: transactionsOf(readFileSync(stack.serverLog).subarray(start, end).toString()) };
    },
    end: () => marker.end(),
  };
}

/**
 * Takes out of a statement what compares a column with one of these values, as a parameter: the tenant's
 * and the owner's condition. Returns null when there is none.
 */
export function withoutConditions({ sql, params }, values) {
  let found = false;
  const open = sql.replace(/\b(?:\w+\.)?\w+ = \$(\d+)(?:::uuid)?(?!\w)/g, (condition, number) => {
    if (!values.includes(params[number - 1])) return condition;
    found = true;
    // True, and the parameter keeps its place.
    return `$${number} IS NOT DISTINCT FROM $${number}`;
  });
  return found ? { sql: open, params } : null;
}

/** A statement with values exchanged, wherever they are in its parameters. */
export function withOthers({ sql, params }, others) {
  const exchange = (text) => text && Object.entries(others).reduce((all, [from, to]) => all.replaceAll(from, to), text);
  return { sql, params: params.map(exchange) };
}

/** Makes a server tell whoever is connected of each plan that was carried out, those of functions and triggers too. */
const TELL = Object.entries({ min_duration: '0', analyze: 'on', timing: 'off', nested_statements: 'on', format: 'json', level: 'notice' })
  .map(([name, value]) => `SET LOCAL auto_explain.log_${name} = '${value}';`).join(' ');

/** The rows that came out of the parts of a plan, and those that each threw away. */
function lookedAt(node) {
  const removed = ['Filter', 'Join Filter', 'Index Recheck'].map((by) => node[`Rows Removed by ${by}`] ?? 0);
  const rows = [node['Actual Rows'] ?? 0, ...removed].reduce((sum, count) => sum + count, 0) * (node['Actual Loops'] ?? 0);
  return (node.Plans ?? []).reduce((sum, plan) => sum + lookedAt(plan), rows);
}

/** Sends statements again. Everything happens in one transaction that is rolled back. */
export async function again(stack, work, { tell = false } = {}) {
  const client = await stack.pg.connect();
  const become = (role) => client.query(role ? `SET LOCAL ROLE ${role}` : 'RESET ROLE');
  try {
    await client.query(tell ? `LOAD 'auto_explain'; BEGIN; ${TELL}` : 'BEGIN');
    return await work({
      query: (...args) => client.query(...args),
      /** Whose transaction it is now: the run-time role with these settings, or the superuser with them. */
      async as(settings, { superuser = false } = {}) {
        await become();
        const names = ['access', 'organization_id', 'owner_id', 'user_id'];
        for (const [index, name] of names.entries()) {
          await client.query('SELECT set_config($1, $2, true)', [`celaest.${name}`, settings[index] ?? '']);
        }
        if (!superuser) await become('celaest_app');
      },
      /** How the server would carry a statement out, with its values. */
      async plan({ sql, params }) {
        const values = params.map((value) => (value === null ? 'NULL' : client.escapeLiteral(value)));
        await client.query(`PREPARE planned ${params.length ? `(${params.map(() => 'text')})` : ''} AS ${sql}`);
        const { rows } = await client.query(`EXPLAIN (FORMAT JSON) EXECUTE planned ${values.length ? `(${values})` : ''}`);
        await client.query('DEALLOCATE ALL');
        return rows[0]['QUERY PLAN'][0].Plan;
      },
      /**
       * Carries a statement out and undoes it: how many rows the parts of its plan looked at, or of the plan of a statement
       * that it calls, whichever has the most.
       */
      async looked({ sql, params }) {
        const values = params.map((value) => (value === null ? 'NULL' : client.escapeLiteral(value)));
        const most = { rows: 0 };
        const watch = ({ message }) => {
          const { 'Query Text': text, Plan: plan } = JSON.parse(message.match(/plan:\n([^]*)$/)?.[1] ?? '{}');
          const rows = plan ? lookedAt(plan) : 0;
          if (rows > most.rows) Object.assign(most, { rows, text });
        };
        await client.query('SAVEPOINT before');
        await client.query(`PREPARE looked ${params.length ? `(${params.map(() => 'text')})` : ''} AS ${sql}`);
        client.on('notice', watch);
        try {
          await client.query(`EXECUTE looked ${values.length ? `(${values})` : ''}`);
          return most;
        } finally {
          client.off('notice', watch);
          await client.query('ROLLBACK TO before');
          await client.query('DEALLOCATE looked');
        }
      },
      /** The single value of a statement, or the error that it ends in; only that statement is undone then. */
      async run({ sql, params }) {
        const values = params.map((value) => (value === null ? 'NULL' : client.escapeLiteral(value)));
        await client.query('SAVEPOINT before');
        try {
          // Parameters are text, as the worker declares them.
          await client.query(`PREPARE again ${params.length ? `(${params.map(() => 'text')})` : ''} AS ${sql}`);
          const { rows } = await client.query(`EXECUTE again ${values.length ? `(${values})` : ''}`);
          await client.query('RELEASE before');
          return { value: rows[0] ? Object.values(rows[0])[0] : null };
        } catch (error) {
          await client.query('ROLLBACK TO before');
          return { error };
        } finally {
          await client.query('DEALLOCATE ALL');
        }
      },
    });
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}
