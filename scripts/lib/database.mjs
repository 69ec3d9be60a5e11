// What is inside the server: the schema, the run-time role's password, the sample data.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { buildProgram } from './cargo.mjs';
import { fillPlaceholders } from './license-key.mjs';
import { ROOT } from './paths.mjs';
import { APP_ROLE } from './postgres.mjs';
import { run } from './processes.mjs';

/** The seed files, in the order they need each other. */
export const SEEDS = { sample: 'seed_data.sql', models: 'ai_models.sql', catalogue: 'catalogue.sql' };

/** Runs `work` with a connection and closes it. */
export async function withClient(url, work) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Creates a database unless it is there, from a template and for an owner if they are named; true when it was created. */
export function createDatabase(serverUrl, name, { template, owner } = {}) {
  return withClient(serverUrl, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount) return false;
    const from = template ? ` TEMPLATE ${client.escapeIdentifier(template)}` : '';
    const whose = owner ? ` OWNER ${client.escapeIdentifier(owner)}` : '';
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}${whose}${from}`);
    return true;
  });
}

/** Drops a database, with its connections. */
export function dropDatabase(serverUrl, name) {
  return withClient(serverUrl, (client) => (
    client.query(`DROP DATABASE IF EXISTS ${client.escapeIdentifier(name)} WITH (FORCE)`)));
}

/** Builds the migrator if needed and applies what is new; returns its lines. */
export async function migrate(url, note) {
  const failure = 'The database could not be migrated: see the lines above.';
  const program = await buildProgram('bin', 'celaest-migrate', { note, failure });
  const output = await run(program, ['migrate'], { cwd: ROOT, note, failure, env: { ...process.env, DATABASE_URL: url } });
  return output.trim().split('\n').filter(Boolean);
}

/** Gives the run-time role its password. */
export function setAppPassword(url, password) {
  return withClient(url, (client) => (
    client.query(`ALTER ROLE ${APP_ROLE} PASSWORD ${client.escapeLiteral(password)}`)));
}

/**
 * Runs a seed file. Its license keys end in a checksum made with the newest of `secrets`; rows
 * that an earlier run inserted with another secret get the key that is made now.
 */
export function seed(url, file, secrets) {
  const { sql, keys } = fillPlaceholders(readFileSync(join(ROOT, 'seeds', file), 'utf8'), secrets);
  return withClient(url, async (client) => {
    await client.query(`BEGIN;\n${sql}\n;COMMIT`);
    await client.query("SELECT set_config('celaest.access', 'system', false)");
    for (const key of keys) {
      await client.query(
        'UPDATE licenses SET license_key = $1 WHERE left(license_key, -4) = left($1, -4) AND license_key <> $1',
        [key],
      );
    }
  });
}

/** The key of a license by id. */
export function licenseKey(url, id) {
  return withClient(url, async (client) => {
    await client.query("SELECT set_config('celaest.access', 'system', false)");
    const { rows } = await client.query('SELECT license_key FROM licenses WHERE id = $1', [id]);
    return rows[0]?.license_key;
  });
}
