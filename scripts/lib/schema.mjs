// Whether a database has the schema that a worker of this version needs.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { migrate, withClient } from './database.mjs';
import { ROOT } from './paths.mjs';
import { Problem } from './terminal.mjs';

/** The migrations there are, as `V001__subject`, the oldest first. */
const ours = () => readdirSync(join(ROOT, 'migrations')).filter((name) => /^V\d+__\w+\.sql$/.test(name)).map((name) => name.slice(0, -4)).sort();

/** The migrations that were applied to a database. */
function applied(url) {
  return withClient(url, async (client) => {
    const { rows: [{ there }] } = await client.query("SELECT to_regclass('refinery_schema_history') IS NOT NULL AS there");
    if (!there) return [];
    const { rows } = await client.query('SELECT version, name FROM refinery_schema_history ORDER BY version');
    return rows.map(({ version, name }) => `V${String(version).padStart(3, '0')}__${name}`);
  }).catch((error) => {
    throw new Problem(`The database of DATABASE_URL cannot be asked for its schema: ${error.message || error.code}.`);
  });
}

/**
 * Makes sure that the database has every migration of this version and none that it does not know; returns a
 * few words.
 *
 * @param {string | undefined} url of the database's owner
 * @param {object} options `apply`: apply what is missing
 * @throws {Problem} in one sentence
 */
export async function schemaForDeployment(url, { apply = false, note } = {}) {
  if (!url) throw new Problem('DATABASE_URL is not set: give the connection string of the owner, so that the schema can be compared with this version.');
  const [wanted, there] = [ours(), await applied(url)];
  const unknown = there.filter((name) => !wanted.includes(name));
  if (unknown.length) {
    throw new Problem(`The database has migrations that this version does not know (${unknown.join(', ')}): deploy the version that brought them, or a later one.`);
  }
  const missing = wanted.filter((name) => !there.includes(name));
  if (!missing.length) return `all ${wanted.length} migrations are applied`;
  if (!apply) {
    throw new Problem(`The database lacks ${missing.length} of ${wanted.length} migrations, from ${missing[0]} on: run npm run db:migrate with the same DATABASE_URL first, or npm run deploy -- --migrate.`);
  }
  await migrate(url, note);
  return `${missing.length} migrations applied`;
}
