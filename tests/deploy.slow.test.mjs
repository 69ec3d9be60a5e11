// docs/deploy.md, step by step, on each version of PostgreSQL: a database that belongs to a role with no more
// rights than the document asks for, ending in a validated license and in jobs that ran.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { withClient } from '../scripts/lib/database.mjs';
import { freshVars, parseVars } from '../scripts/lib/dev-vars.mjs';
import { ROOT } from '../scripts/lib/paths.mjs';
import { VERSIONS, installPostgres } from '../scripts/lib/postgres-packages.mjs';
import { APP_ROLE, Cluster, connectionString, randomPassword } from '../scripts/lib/postgres.mjs';
import { freePort } from '../scripts/lib/processes.mjs';
import { readWorker, startWorker } from '../scripts/lib/worker.mjs';
import { caller, good } from './support/api.mjs';
import { JOBS } from './support/called.mjs';
import { startProvider } from './support/gotrue.mjs';
import { accept } from './support/invitations.mjs';
import { token } from './support/tokens.mjs';

const OWNER = 'celaest_owner';
const read = (name) => readFileSync(join(ROOT, name), 'utf8');
const DOCUMENT = read('docs/deploy.md');
const CONFIGURATION = read('wrangler.toml');

describe('the document', () => {
  test('makes every queue of wrangler.toml', () => {
    const [, names, body] = DOCUMENT.match(/for queue in ([^;]+); do\n([^]*?)done/);
    const suffixes = [...body.matchAll(/queues create \$queue(\S*)/g)].map(([, suffix]) => suffix);
    const made = names.split(' ').flatMap((name) => suffixes.map((suffix) => name + suffix));
    const wanted = [...CONFIGURATION.matchAll(/^(?:queue|dead_letter_queue) = "([\w-]+)"/gm)].map(([, name]) => name);
    assert.deepEqual(new Set(made), new Set(wanted));
  });

  test('names every variable that is not in wrangler.toml, and no other', () => {
    const set = Object.keys(parseVars(CONFIGURATION.match(/\[vars\]\n([^[]*)/)[1]));
    const notForProduction = ['WEBHOOK_ALLOW_PRIVATE', 'STRIPE_API_URL'];
    const wanted = Object.keys(freshVars()).filter((name) => !set.includes(name) && !notForProduction.includes(name));
    const named = new Set(DOCUMENT.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g));
    assert.deepEqual(wanted.filter((name) => !named.has(name)), []);
    const known = ['DATABASE_URL', 'SSL_CERT_FILE', ...Object.keys(freshVars())];
    assert.deepEqual([...named].filter((name) => !known.includes(name)), []);
  });

  test('names the versions that are tested', () => {
    assert.ok(DOCUMENT.includes(`PostgreSQL ${VERSIONS[0]} to ${VERSIONS.at(-1)}`));
  });
});

for (const version of VERSIONS) {
  describe(`on PostgreSQL ${version}`, () => {
    let folder;
    let cluster;
    let ownerUrl;
    let provider;
    let vars;
    let worker;
    let root;
    let plan;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'celaest-deploy-'));
      chmodSync(folder, 0o711);
      await installPostgres(version);
      cluster = new Cluster({
        folder: join(folder, 'postgres'), password: randomPassword(), log: join(folder, 'postgres.log'), settings: ['fsync=off'], version,
      });
      await cluster.initialise();
      await cluster.start(await freePort());
      provider = await startProvider();
    });
    after(async () => {
      await worker?.service.stop(8000);
      provider?.close();
      await cluster?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const script = (name, ...args) => promisify(execFile)(process.execPath, [`scripts/${name}.mjs`, ...args],
      { cwd: ROOT, env: { ...process.env, DATABASE_URL: ownerUrl, DASHBOARD_URL: 'https://dash.example' } });
    const as = (bearer) => caller(worker, { token: bearer });

    test('the database and its owner', async () => {
      const password = randomPassword();
      const [, role] = DOCUMENT.match(/^(CREATE ROLE celaest_owner .*) PASSWORD/m);
      await withClient(cluster.ownerUrl('postgres'), async (client) => {
        await client.query(`${role} PASSWORD '${password}'`);
        await client.query(DOCUMENT.match(/^CREATE DATABASE celaest .*$/m)[0]);
      });
      ownerUrl = connectionString({ user: OWNER, password, port: cluster.port });
      const { rows: [rights] } = await withClient(ownerUrl, (client) => client.query(
        'SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user'));
      assert.deepEqual(rights, { rolsuper: false, rolbypassrls: false });
    });

    test('the schema, and again', async () => {
      await script('db', 'migrate');
      assert.match((await script('db', 'migrate')).stdout, /nothing to do/);
    });

    test('the role of the worker, and the worker', async () => {
      const password = randomPassword();
      const statement = DOCUMENT.match(/`(ALTER ROLE celaest_app PASSWORD) '…';`/)[1];
      await withClient(ownerUrl, (client) => client.query(`${statement} '${password}'`));
      vars = { ...freshVars(), SUPABASE_URL: provider.url, LICENSE_KEY_SECRET: randomBytes(32).toString('base64url') };
      provider.vars = vars;
      worker = await startWorker({
        worker: await readWorker(ROOT), state: join(folder, 'worker'), vars, port: await freePort(), log: join(folder, 'worker.log'),
        databaseUrl: connectionString({ user: APP_ROLE, password, port: cluster.port }),
      });
    });

    test('the first super administrator', async () => {
      const { stdout } = await script('admin', '--email', 'you@example.com', '--organization', 'Your Company');
      const link = new URL(stdout.match(/https:\/\/dash\.example\/invitation\?\S+/)[0]);
      const person = { id: randomUUID(), email: 'you@example.com', email_confirmed_at: new Date().toISOString() };
      provider.people.set(person.id, person);
      const bearer = await token(vars, person.id);
      assert.equal(good(await accept(worker, bearer, link.searchParams.get('token'))).role, 'super_admin');
      root = as(bearer);
      const code = `first-${version}`;
      plan = good(await root('POST', '/api/plans', { body: { code, name: 'First' } }), 201);
      assert.ok(good(await root('GET', '/api/plans')).some((one) => one.code === code));
    });

    test('a license, validated, and refused once it is revoked', async () => {
      const license = good(await root('POST', '/api/licenses', { body: { plan_id: plan.id } }), 201);
      const validate = async () => good(await caller(worker)('POST', '/api/licenses/validate', { body: { license_key: license.license_key } }));
      assert.equal((await validate()).valid, true);
      good(await root('POST', '/api/licenses/{id}/revoke', { id: license.id, body: { reason: 'tried' } }));
      assert.equal((await validate()).valid, false);
    });

    test('every job', async () => {
      for (const job of JOBS) {
        const response = await fetch(`${worker.url}/cdn-cgi/local/scheduled?${new URLSearchParams({ cron: job })}`);
        assert.ok(response.ok, `${job}: ${response.status} ${await response.text()}`);
      }
      assert.equal(good(await root('GET', '/api/audit-logs/verify')).intact, true);
      const wrong = readFileSync(join(folder, 'worker.log'), 'utf8').split('\n').filter((line) => line.includes('"level":"error"'));
      assert.deepEqual(wrong, []);
    });
  });
}
