// npm test: everything the tests need, the tests, and nothing left behind.
//
// Options: --only <text> runs what has the text in its name, without the Rust tests; --dev tests the fast build (npm
// run coverage has one of its own); --rust runs the Rust tests alone; --slow runs the slow proofs alone; --lanes <n>
// runs so many files at a time; --postgres <15 to 18> takes another version of PostgreSQL; --self-host runs the workers
// in plain workerd, with the queues and the clock of self-host/.

import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { bootstrap, onStop } from './lib/bootstrap.mjs';
import { checkDescription } from './lib/openapi.mjs';
import { COVERAGE, ROOT } from './lib/paths.mjs';
import { endAll, run } from './lib/processes.mjs';
import { Problem, duration, printError, steps } from './lib/terminal.mjs';

const option = (name) => {
  const index = process.argv.indexOf(name);
  return index === -1 ? null : process.argv[index + 1] ?? '';
};

/** The slow proofs have a command of their own. */
const isSlow = (name) => name.endsWith('.slow.test.mjs');

/** The long files, in parts that run as files of their own: the walk over the routes goes module by module. */
function partsOfFiles() {
  const modules = readdirSync(join(ROOT, 'tests/routes')).map((name) => name.replace('.mjs', ''));
  return { 'routes.test.mjs': modules, 'bad-input.test.mjs': ['hopeless', 'damaged'] };
}

/** What is to be run: all that has `only` in its name, the slow proofs, or everything else. */
function chosenJobs(jobsOf, only, slow) {
  const files = readdirSync(join(ROOT, 'tests')).filter((name) => name.endsWith('.test.mjs')).map((name) => join('tests', name));
  const jobs = jobsOf(files, partsOfFiles());
  const chosen = jobs.filter(({ name, file }) => (only === null ? isSlow(file) === slow : name.includes(only) || file.includes(only)));
  if (!chosen.length) throw new Problem(`No test has "${only}" in its name: there are ${jobs.map(({ name }) => name).sort().join(', ')}.`);
  return chosen;
}

/** The Rust tests; returns how many passed. */
async function testRust(note, coverage) {
  note('cargo test --workspace');
  const output = coverage
    ? await coverage.testRust(note)
    : await run('cargo', ['test', '--workspace'], { cwd: ROOT, note, failure: 'The Rust tests failed: see the lines above.' });
  await checkDescription(note);
  return [...output.matchAll(/^test result: ok\. (\d+) passed/gm)].reduce((sum, [, passed]) => sum + Number(passed), 0);
}

/** Prints how many lines ran; returns the exit code: whether the goals are reached, where that is asked. */
function reportCoverage(coverage, isWhole = false) {
  const { text, pages, areas } = coverage.report();
  process.stdout.write(`\n${text}\nThe pages: ${pages}\n`);
  return isWhole && areas.some(({ isReached }) => !isReached) ? 1 : 0;
}

await bootstrap(async ({ packages }) => {
  const { checkRust, wasmTarget } = await import('./lib/rust.mjs');
  const { installTools } = await import('./lib/tools.mjs');
  const { buildWorker } = await import('./lib/build.mjs');
  const { Stage } = await import('../tests/harness/stage.mjs');
  const { ensurePgBouncer } = await import('../tests/harness/pgbouncer.mjs');
  const { VERSION, installPostgres } = await import('./lib/postgres-packages.mjs');
  const { jobsOf, runJobs } = await import('../tests/harness/runner.mjs');
  const { Coverage } = await import('./lib/coverage/index.mjs');

  const only = option('--only');
  const onlyRust = process.argv.includes('--rust');
  const slow = process.argv.includes('--slow');
  const withRust = only === null && !slow;
  const jobs = onlyRust ? [] : chosenJobs(jobsOf, only, slow);
  // Tests wait for the worker, for the log and for the clock more than they compute.
  const lanes = Number(option('--lanes') ?? availableParallelism() + 1);
  const version = option('--postgres') ?? VERSION;
  const coverage = COVERAGE ? new Coverage({ more: process.argv.includes('--more') }) : null;
  const started = Date.now();
  let stage;
  let stopping = false;
  onStop(() => {
    stopping = true;
    endAll().catch(printError);
  });

  const step = steps(onlyRust ? 3 : 7);
  const next = (title, work) => {
    if (stopping) throw new Problem('Stopped.');
    return step(title, work);
  };

  try {
    let env = {};
    let rustPassed = 0;
    await next('npm packages', () => packages);
    await next('Rust', () => checkRust());
    const testsOfRust = async (note) => {
      rustPassed = await testRust(note, coverage);
      note(`${rustPassed} Rust tests passed`);
    };
    if (onlyRust) {
      await next('Rust tests', testsOfRust);
      process.stdout.write(`${rustPassed} passed, 0 failed\n`);
      return coverage ? reportCoverage(coverage) : 0;
    }
    await next('WebAssembly target', async (note) => {
      const target = await wasmTarget(note);
      env = target.env;
      return target.words;
    });
    await next('wasm-bindgen', installTools);
    await next(`PostgreSQL ${version} and PgBouncer`, async (note) => {
      await installPostgres(version, note);
      return ensurePgBouncer(note);
    });
    // Linking the worker keeps one core busy: the other one has the Rust tests meanwhile.
    await next(withRust ? 'build of the worker, and Rust tests' : 'build of the worker', async (note) => {
      const [words] = await Promise.all([
        buildWorker({ note, env, fast: COVERAGE || process.argv.includes('--dev') }),
        withRust && testsOfRust(note),
      ]);
      return words;
    });
    await next('schema', async (note) => {
      stage = new Stage(version, { coverage, selfHost: process.argv.includes('--self-host') });
      const [words] = await Promise.all([stage.startServer(note), stage.keepBundle()]);
      return words;
    });
    process.stdout.write(`\n${jobs.length} test files and parts of files, ${Math.min(lanes, jobs.length)} at a time\n\n`);
    const { passed, failed, skipped } = await runJobs(jobs, {
      lanes,
      folder: stage.folder,
      env: {
        ...process.env,
        ...(process.stdout.isTTY && { FORCE_COLOR: '1' }),
        CELAEST_STAGE: await stage.listen(),
        DATABASE_URL: stage.server.urls('postgres').ownerUrl,
        APP_DATABASE_URL: stage.server.urls('postgres').poolerUrl,
      },
    });
    if (stopping) return 130;
    await stage.takeCoverage();
    process.stdout.write(`\n${failed ? 'The tests failed' : 'All tests passed'} after ${duration(Date.now() - started)}${rustPassed ? `, ${rustPassed} of them in Rust` : ''}${skipped ? `; ${skipped} were skipped` : ''}.${failed ? ' Logs of the workers and databases: .celaest/logs/test' : ''}\n`);
    process.stdout.write(`${passed + rustPassed} passed, ${failed} failed\n`);
    const missed = coverage ? reportCoverage(coverage, only === null) : 0;
    return failed ? 1 : missed;
  } catch (error) {
    if (!stopping) throw error;
    return 130;
  } finally {
    await endAll().catch(printError);
    stage?.clear();
  }
});
