// The containers as they are written down: what compose.yaml and the Dockerfile name is there, and fits. That they
// run is proved by containers.slow.test.mjs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import yaml from 'js-yaml';
import { ROOT } from '../scripts/lib/paths.mjs';
import { variables } from '../scripts/lib/self-host.mjs';
import { readWorker } from '../scripts/lib/worker.mjs';

const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const compose = yaml.load(read('compose.yaml'));
const services = Object.entries(compose.services);

/** The Dockerfile as stages: `{ name, base, lines }`, and its arguments. */
function dockerfile() {
  const lines = read('Dockerfile').replaceAll('\\\n', ' ').split('\n').filter((line) => line && !line.startsWith('#'));
  const args = Object.fromEntries(lines.filter((line) => line.startsWith('ARG ')).map((line) => line.slice(4).split('=')));
  const stages = [];
  for (const line of lines) {
    const [, base, name] = /^FROM (\S+)(?: AS (\S+))?$/.exec(line) ?? [];
    if (base) stages.push({ name, base: base.replace(/^\$\{(\w+)\}$/, (_, arg) => args[arg]), lines: [] });
    else stages.at(-1)?.lines.push(line);
  }
  return { args, stages };
}

describe('Dockerfile', () => {
  const { args, stages } = dockerfile();
  const stage = (name) => stages.find((one) => one.name === name);

  test('what is not made here is pinned', () => {
    const bases = stages.map(({ base }) => base).filter((base) => base !== 'scratch' && !stage(base));
    assert.deepEqual(bases.toSorted(), [args.DEBIAN, args.NODE, args.RUST].toSorted());
    for (const base of [...bases, compose.services.postgres.image]) assert.match(base, /^[a-z]+:[^:]*\d+(\.\d+)+-|:bookworm-\d{8}-slim$/);
  });

  test('every image that runs is nobody\'s who may do anything, and asks for nothing that is not there', () => {
    for (const [, { build }] of services.filter(([, service]) => service.build)) {
      const { lines } = stage(build.target);
      assert.ok(lines.some((line) => /^USER \d+$/.test(line)), build.target);
      const [, program] = /^ENTRYPOINT \["([^"]+)"/.exec(lines.find((line) => line.startsWith('ENTRYPOINT')));
      assert.ok(program === 'node' || existsSync(join(ROOT, 'self-host', program.replace('/app/', ''))), program);
      for (const line of lines.filter((one) => one.startsWith('COPY ') && !one.includes('--from='))) {
        line.split(' ').slice(1, -1).forEach((path) => assert.ok(existsSync(join(ROOT, path)), path));
      }
    }
  });

  test('what the sources need is not kept away from the build', () => {
    const let_in = read('.dockerignore').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    for (const path of let_in.filter((one) => one !== 'build/containers')) assert.ok(existsSync(join(ROOT, path)), path);
    for (const path of ['.dev.vars', 'secrets', '.git', 'target', 'node_modules', '.celaest']) assert.ok(!let_in.includes(path), path);
    const needed = ['Cargo.toml', 'Cargo.lock', 'package.json', 'package-lock.json', 'wrangler.toml', '.dev.vars.example'];
    const folders = JSON.parse(execFileSync('cargo', ['metadata', '--no-deps', '--offline', '--format-version', '1'], { cwd: ROOT, encoding: 'utf8' }))
      .packages.flatMap(({ targets }) => targets.map(({ src_path: path }) => path.slice(ROOT.length + 1).split('/')[0]));
    for (const path of [...needed, ...folders]) assert.ok(let_in.includes(path), path);
  });
});

describe('compose.yaml', () => {
  test('what services name is there: stages, services, secrets, volumes', () => {
    const { stages } = dockerfile();
    for (const [name, service] of services) {
      if (service.build) assert.ok(stages.some((stage) => stage.name === service.build.target), name);
      assert.ok(service.image, name);
      for (const other of Object.keys(service.depends_on ?? {})) assert.ok(compose.services[other], other);
      for (const secret of service.secrets ?? []) assert.ok(compose.secrets[secret], secret);
      for (const volume of service.volumes ?? []) assert.ok(volume.split(':')[0] in compose.volumes, volume);
      for (const [variable, value] of Object.entries(service.environment ?? {})) {
        if (variable.endsWith('_FILE')) assert.ok(service.secrets.includes(value.replace('/run/secrets/', '')), `${name}: ${variable}`);
      }
    }
  });

  test('one port is published, and what stays is started again', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports);
    assert.equal(published.length, 1);
    const oneShot = ['migrate', 'seed'];
    for (const [name, { restart }] of services) assert.equal(restart, oneShot.includes(name) ? undefined : 'unless-stopped', name);
  });

  test('nothing starts before what it needs is well', () => {
    const conditions = services.flatMap(([, { depends_on: needs = {} }]) => Object.entries(needs));
    const { stages } = dockerfile();
    for (const [name, { condition }] of conditions) {
      const service = compose.services[name];
      const checks = service.healthcheck ?? stages.find((stage) => stage.name === service.build?.target)?.lines.find((line) => line.startsWith('HEALTHCHECK'));
      assert.equal(condition, service.restart ? 'service_healthy' : 'service_completed_successfully', name);
      if (service.restart) assert.ok(checks, `${name} has no health check`);
    }
  });

  test('the worker is given every variable that it knows; secrets as files alone', async () => {
    const given = Object.keys(compose.services.core.environment);
    const known = variables(await readWorker(ROOT));
    const forEntryPoint = ['DATABASE_URL', 'DATABASE_PASSWORD', 'ALLOW_PRIVATE_NETWORK'];
    const names = given.map((name) => name.replace(/_FILE$/, ''));
    assert.deepEqual([...known, ...forEntryPoint].filter((name) => !names.includes(name)), []);
    const open = given.filter((name) => /KEY|SECRET|PEPPER|PASSWORD/.test(name) && !name.endsWith('_FILE'));
    assert.deepEqual(open, []);
  });

  test('secrets.sh makes every secret, keeps what is there, and lets nobody else in', () => {
    const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
    try {
      mkdirSync(join(folder, 'self-host'));
      cpSync(join(ROOT, 'self-host/secrets.sh'), join(folder, 'self-host/secrets.sh'));
      const make = () => {
        execFileSync(join(folder, 'self-host/secrets.sh'));
        return Object.fromEntries(readdirSync(join(folder, 'secrets')).map((name) => [name, readFileSync(join(folder, 'secrets', name), 'utf8')]));
      };
      const made = make();
      assert.deepEqual(Object.keys(made).toSorted(), Object.values(compose.secrets).map(({ file }) => file.replace('secrets/', '')).toSorted());
      assert.equal(statSync(join(folder, 'secrets')).mode & 0o777, 0o700);
      assert.equal(Buffer.from(made.encryption_key, 'base64url').length, 32);
      assert.deepEqual(make(), made);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  for (const name of ['entrypoint.sh', 'pgbouncer.sh', 'answers.sh', 'secrets.sh']) {
    test(`${name} is a script that can be run`, () => {
      execFileSync('sh', ['-n', join(ROOT, 'self-host', name)]);
      assert.ok(statSync(join(ROOT, 'self-host', name)).mode & 0o111);
    });
  }
});
