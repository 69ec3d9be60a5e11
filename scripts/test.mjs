// npm test: everything the tests need, the tests, and nothing left behind.
//
// Options: --only <text> runs the test files whose name contains the text, without the
// Rust tests; --dev tests the fast build; --rust runs the Rust tests alone.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, onStop } from './lib/bootstrap.mjs';
import { ROOT } from './lib/paths.mjs';
import { Service, endAll } from './lib/processes.mjs';
import { Problem, duration, printError, steps } from './lib/terminal.mjs';

const option = (name) => {
  const index = process.argv.indexOf(name);
  return index === -1 ? null : process.argv[index + 1] ?? '';
};

/** The test files, those whose name contains `only`. */
function testFiles(only) {
  const files = readdirSync(join(ROOT, 'tests')).filter((name) => name.endsWith('.test.mjs')).sort();
  const chosen = files.filter((name) => name.includes(only ?? ''));
  if (!chosen.length) throw new Problem(`No test file has "${only}" in its name: there are ${files.join(', ')}.`);
  return chosen.map((name) => join('tests', name));
}

await bootstrap(async ({ packages }) => {
  const { checkRust, wasmTarget } = await import('./lib/rust.mjs');
  const { installTools } = await import('./lib/tools.mjs');
  const { buildWorker } = await import('./lib/build.mjs');
  const { Stage } = await import('../tests/harness/stage.mjs');
  const { ensurePgBouncer } = await import('../tests/harness/pgbouncer.mjs');

  const only = option('--only');
  const onlyRust = process.argv.includes('--rust');
  const files = onlyRust ? [] : testFiles(only);
  const started = Date.now();
  let stage;
  let stopping = false;
  onStop(() => {
    stopping = true;
    endAll().catch(printError);
  });

  /** Runs a program whose output is for the person, and returns its exit code. */
  const show = async (command, args, env = process.env) => {
    const service = await Service.start(command, args, {
      cwd: ROOT, env, patience: 3000, onLine: (line) => process.stdout.write(`${line}\n`),
    });
    return service.exit;
  };

  const step = steps(2 + (onlyRust ? 0 : 6) + (only === null ? 1 : 0));
  const next = (title, work) => {
    if (stopping) throw new Problem('Stopped.');
    return step(title, work);
  };
  const color = process.stdout.isTTY ? { FORCE_COLOR: '1', CARGO_TERM_COLOR: 'always' } : {};

  try {
    let env = {};
    await next('npm packages', () => packages);
    await next('Rust', () => checkRust());
    if (only === null) {
      await next('Rust tests', async (note) => {
        note('cargo test --workspace');
        if (await show('cargo', ['test', '--workspace'], { ...process.env, ...color })) throw new Problem('The Rust tests failed.');
        if (existsSync(join(ROOT, 'public/openapi.json'))
          && await show(process.execPath, [join(ROOT, 'scripts/openapi.mjs'), '--check'])) {
          throw new Problem('The API description is out of date.');
        }
        return 'passed';
      });
    }
    if (onlyRust) return 0;
    await next('WebAssembly target', async (note) => {
      const target = await wasmTarget(note);
      env = target.env;
      return target.words;
    });
    await next('wasm-bindgen', installTools);
    await next('build of the worker', (note) => buildWorker({ note, env, fast: process.argv.includes('--dev') }));
    await next('PgBouncer', ensurePgBouncer);
    await next('PostgreSQL 18 and schema', async (note) => {
      stage = new Stage();
      stage.keepBundle();
      return `${await stage.startServers()}, ${await stage.prepareDatabase(note)}`;
    });
    let shared;
    await next('worker', async () => {
      shared = await stage.startStack();
      return shared.url;
    });
    const address = await stage.listen();
    process.stdout.write('\n');
    const code = await show(process.execPath, [
      '--test', '--test-concurrency=1', '--test-timeout=300000', '--test-reporter=spec', ...files,
    ], {
      ...process.env,
      ...color,
      CELAEST_STAGE: address,
      CELAEST_SHARED_STACK: JSON.stringify(shared),
      DATABASE_URL: stage.cluster.ownerUrl('postgres'),
      APP_DATABASE_URL: shared.poolerUrl,
    });
    if (stopping) return 130;
    process.stdout.write(`\n${code ? 'The tests failed' : 'All tests passed'} after ${duration(Date.now() - started)}.${code ? ' Logs of the worker and the database: .celaest/logs/test' : ''}\n`);
    return code;
  } catch (error) {
    if (!stopping) throw error;
    return 130;
  } finally {
    await endAll().catch(printError);
    stage?.clear();
  }
});
