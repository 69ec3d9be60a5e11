// A database of its own for the schema test: created on the server of DATABASE_URL,
// migrated, and dropped when the test ends, so that nothing else can disturb it.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { buildProgram } from '../../scripts/lib/cargo.mjs';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A connection string from the environment, or an error that says what to set. */
function urlFrom(name, role) {
  if (!process.env[name]) {
    throw new Error(`${name} is not set: give the connection string of ${role} (npm test sets it)`);
  }
  return new URL(process.env[name]);
}

/** Creates an empty database and gives the ways into it. */
export async function createDatabase(label) {
  const admin = urlFrom('DATABASE_URL', "a superuser on a PostgreSQL server");
  const login = urlFrom('APP_DATABASE_URL', 'the run-time role celaest_app');
  const name = `celaest_schema_${label}_${process.pid}`;

  const server = new pg.Client({ connectionString: admin.href });
  await server.connect();
  await server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await server.query(`CREATE DATABASE ${name}`);

  const owner = new URL(admin);
  owner.pathname = `/${name}`;
  // The server of DATABASE_URL itself: the run-time role's own address may be that
  // of a pooler, which does not know this database.
  const app = new URL(owner);
  app.username = login.username;
  app.password = login.password;

  const clients = [];
  const connect = async (url) => {
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    clients.push(client);
    return client;
  };
  return {
    url: owner.href,
    /** A connection as the database's owner, who is a superuser here. */
    asOwner: () => connect(owner),
    /** A connection as celaest_app. */
    asApp: () => connect(app),
    async drop() {
      await Promise.all(clients.map((client) => client.end()));
      await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await server.end();
    },
  };
}

/** Builds the migrator and returns the path of its program. */
export const buildMigrator = () => buildProgram('bin', 'celaest-migrate', { failure: 'The migrator could not be built.' });

/** Runs the migrator on the `migrations/` of a folder; never throws. */
export function migrate(program, url, folder = root) {
  return new Promise((resolve) => {
    execFile(
      program,
      ['migrate'],
      { cwd: folder, env: { ...process.env, DATABASE_URL: url } },
      (error, stdout, stderr) => resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

/** Runs a seed file with stand-ins for its license keys. */
export async function seed(client, file) {
  const sql = readFileSync(`${root}/seeds/${file}`, 'utf8');
  await client.query(
    sql.replace(/\{\{license_key:(\w+):(\w+)\}\}/g, (_, code, random) => `CELAEST-${code}-${random}-0000`),
  );
}

/** Runs `work` in a transaction with the given settings, as the worker does. */
export async function transaction(client, settings, work) {
  await client.query('BEGIN');
  try {
    for (const [name, value] of Object.entries(settings)) {
      await client.query('SELECT set_config($1, $2, true)', [`celaest.${name}`, value]);
    }
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/** The rows of a query, or its only column when it has just one. */
export async function rows(client, sql, values) {
  const result = await client.query(sql, values);
  return result.fields.length === 1
    ? result.rows.map((row) => row[result.fields[0].name])
    : result.rows;
}
