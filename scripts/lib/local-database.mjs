// The database of `npm start`, in `.celaest/postgres`: started, migrated and seeded.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SEEDS, createDatabase, migrate, seed, setAppPassword } from './database.mjs';
import { ensureDevVars } from './dev-vars.mjs';
import { LOGS, ROOT, STATE } from './paths.mjs';
import { Pooler } from './pooler.mjs';
import { APP_ROLE, Cluster, DATABASE, choosePort, connectionString, randomPassword } from './postgres.mjs';
import { portFrom } from './processes.mjs';
import { readState, writeState } from './state.mjs';
import { Problem } from './terminal.mjs';

const FOLDER = join(STATE, 'postgres');
const PASSWORDS = join(STATE, 'passwords.json');
const SEEDED = join(STATE, 'seeded.json');
const DEFAULT_PORT = 54329;

/** How many connections the worker's pooler keeps to the local server, which takes 100. */
const PLACES = 20;

/** The passwords of the local roles, made on the first start. */
function passwords() {
  const known = readState(PASSWORDS);
  if (known) return known;
  if (existsSync(FOLDER)) {
    throw new Problem(`${PASSWORDS} is gone, and with it the way into ${FOLDER}: run "npm run db:reset" to start over (the local data is lost).`);
  }
  const fresh = { owner: randomPassword(), app: randomPassword() };
  writeState(PASSWORDS, fresh, 0o600);
  return fresh;
}

/**
 * Deletes the local database, and the Durable Objects that remember rows of it. Nothing
 * of this project may run.
 */
export async function removeLocalData() {
  await new Cluster({ folder: FOLDER }).stopLeftover();
  for (const path of [FOLDER, `${FOLDER}.new`, PASSWORDS, SEEDED, join(STATE, 'worker')]) {
    rmSync(path, { recursive: true, force: true });
  }
}

/**
 * The local server, running, with its database; `stop` ends what was started here.
 *
 * @param {object} [options]
 * @param {boolean} [options.share] use the server of a running `npm start` instead of
 *   taking one that is running for the left-over of a killed process
 */
export async function startLocalServer({ share = false } = {}) {
  const secret = passwords();
  const cluster = new Cluster({ folder: FOLDER, password: secret.owner, log: join(LOGS, 'postgres.log') });
  const isNew = await cluster.initialise();
  const other = cluster.running();
  if (other?.ready && share) {
    cluster.port = other.port;
  } else {
    await cluster.start(await choosePort(portFrom('POSTGRES_PORT'), DEFAULT_PORT, 'POSTGRES_PORT'));
  }
  const created = await createDatabase(cluster.ownerUrl('postgres'), DATABASE);
  return {
    isNew: isNew || created,
    cluster,
    ownerUrl: cluster.ownerUrl(DATABASE),
    /** What the worker connects to. */
    openPooler: () => Pooler.open(connectionString({ user: APP_ROLE, password: secret.app, port: cluster.port }), PLACES),
    appPassword: secret.app,
    stop: () => cluster.stop(),
  };
}

/** Applies new migrations and lets the worker's role in; returns a few words. */
export async function migrateLocal(server, note) {
  const lines = await migrate(server.ownerUrl, note);
  await setAppPassword(server.ownerUrl, server.appPassword);
  const applied = lines.filter((line) => line.startsWith('applied ')).length;
  return applied ? `${applied} migrations applied` : 'nothing to migrate';
}

/**
 * Adds the sample data, and the catalogue when asked, unless that was done before.
 *
 * @returns a few words for the terminal
 */
export async function seedLocal(server, { catalogue = false, again = false } = {}) {
  const { LICENSE_KEY_SECRET } = ensureDevVars();
  const done = (!server.isNew && readState(SEEDED)) || {};
  const files = [SEEDS.sample, SEEDS.models, ...(catalogue ? [SEEDS.catalogue] : [])];
  const ran = [];
  for (const file of files) {
    const digest = createHash('sha256').update(LICENSE_KEY_SECRET).update(readFileSync(join(ROOT, 'seeds', file))).digest('hex');
    if (done[file] === digest && !again) continue;
    await seed(server.ownerUrl, file, LICENSE_KEY_SECRET);
    done[file] = digest;
    ran.push(file);
  }
  writeState(SEEDED, done);
  return ran.length ? `${ran.join(' and ')} applied` : 'sample data already there';
}
