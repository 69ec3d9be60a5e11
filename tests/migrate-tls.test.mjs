// The migrator and a PostgreSQL whose certificate comes from an authority of its own: who is believed, and what
// is said to somebody who is not.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { createDatabase } from '../scripts/lib/database.mjs';
import { Cluster, randomPassword, serverUser } from '../scripts/lib/postgres.mjs';
import { freePort } from '../scripts/lib/processes.mjs';
import { buildMigrator, migrate } from './schema/database.mjs';

let folder;
let cluster;
let program;

const path = (name) => join(folder, name);
const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });

/** An authority: `<name>.pem` and `<name>.key`. */
function authority(name) {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', `${name}.key`, '-out', `${name}.pem`);
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'celaest-tls-'));
  chmodSync(folder, 0o711);
  authority('ours');
  authority('theirs');
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr');
  writeFileSync(path('server.ext'), 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n');
  openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ours.pem', '-CAkey', 'ours.key', '-CAcreateserial', '-days', '2', '-extfile', 'server.ext', '-out', 'server.pem');
  const user = serverUser();
  for (const file of ['server.key', 'server.pem']) {
    chmodSync(path(file), 0o600);
    if (user) chownSync(path(file), user.uid, user.gid);
  }
  cluster = new Cluster({
    folder: path('postgres'), password: randomPassword(), log: path('postgres.log'),
    settings: ['fsync=off', 'ssl=on', `ssl_cert_file=${path('server.pem')}`, `ssl_key_file=${path('server.key')}`],
  });
  await cluster.initialise();
  [program] = [await buildMigrator(), await cluster.start(await freePort())];
  await createDatabase(cluster.ownerUrl('postgres'), 'celaest');
});
after(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The database, at a host name, with these parameters. */
function urlOf(parameters, host = 'localhost') {
  const url = new URL(cluster.ownerUrl('celaest'));
  url.hostname = host;
  url.search = new URLSearchParams(parameters);
  return url.href;
}

/** Migrates; gives what was printed, wherever. */
async function attempt(parameters, { host, env = {} } = {}) {
  Object.assign(process.env, env);
  try {
    const { code, stdout, stderr } = await migrate(program, urlOf(parameters, host));
    return { code, said: stdout + stderr };
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
  }
}

describe('passes', () => {
  const passes = async (...args) => {
    const { code, said } = await attempt(...args);
    assert.equal(code, 0, said);
  };
  test('the right authority and the right name', () => passes({ sslmode: 'verify-full', sslrootcert: path('ours.pem') }));
  test('require, which checks the same', () => passes({ sslmode: 'require', sslrootcert: path('ours.pem') }));
  test('an authority without a mode', () => passes({ sslrootcert: path('ours.pem') }));
  test('an authority in SSL_CERT_FILE', () => passes({ sslmode: 'verify-full' }, { env: { SSL_CERT_FILE: path('ours.pem') } }));
  test('verify-ca under another name', () => passes({ sslmode: 'verify-ca', sslrootcert: path('ours.pem') }, { host: '127.0.0.1' }));
  test('disable', () => passes({ sslmode: 'disable' }));
});

describe('is refused in one sentence', () => {
  const refused = async (pattern, ...args) => {
    const { code, said } = await attempt(...args);
    assert.equal(code, 1, said);
    assert.match(said, /^error: .*\n$/);
    assert.match(said, pattern);
  };
  const unknown = /authority that is not trusted here.*sslrootcert.*SSL_CERT_FILE/;
  test('another authority', () => refused(unknown, { sslmode: 'verify-full', sslrootcert: path('theirs.pem') }));
  test('another authority with verify-ca', () => refused(unknown, { sslmode: 'verify-ca', sslrootcert: path('theirs.pem') }));
  test('no authority named', () => refused(unknown, { sslmode: 'require' }));
  test('the url wins over SSL_CERT_FILE', () => refused(unknown, { sslmode: 'verify-full', sslrootcert: path('theirs.pem') }, { env: { SSL_CERT_FILE: path('ours.pem') } }));
  test('another host name', () => refused(/another host name.*localhost/, { sslmode: 'verify-full', sslrootcert: path('ours.pem') }, { host: '127.0.0.1' }));
  test('a file that is not there', () => refused(/nowhere\.pem/, { sslrootcert: path('nowhere.pem') }));
  test('a file without certificates', () => refused(/holds no certificate/, { sslrootcert: path('server.ext') }));
  test('an unknown mode', () => refused(/sslmode=always.*verify-full/, { sslmode: 'always' }));
});

test('admin:create takes the same url', async () => {
  await attempt({ sslmode: 'disable' });
  const create = (parameters) => promisify(execFile)(process.execPath,
    ['scripts/admin.mjs', '--email', 'root@example.test', '--organization', 'Acme'],
    { env: { ...process.env, DATABASE_URL: urlOf(parameters) } });
  await assert.rejects(create({ sslmode: 'verify-full', sslrootcert: path('theirs.pem') }));
  const { stdout } = await create({ sslmode: 'verify-full', sslrootcert: path('ours.pem') });
  assert.match(stdout, /root@example\.test in Acme/);
});
