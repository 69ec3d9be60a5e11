// Runs test files side by side, the longest first, and says at the end what was slow.

import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, STATE } from '../../scripts/lib/paths.mjs';
import { Service } from '../../scripts/lib/processes.mjs';
import { readState, writeState } from '../../scripts/lib/state.mjs';
import { duration } from '../../scripts/lib/terminal.mjs';

const REPORTER = fileURLToPath(new URL('reporter.mjs', import.meta.url));
const TIMES = join(STATE, 'test-times.json');
const SLOWEST = 10;

/** The milliseconds that one file may take, on a machine that is busy with others. */
const PATIENCE = 600_000;
/** And a slow proof. */
const SLOW_PATIENCE = 3 * PATIENCE;

/** Files as jobs: those in `parts` once for each of their parts, which the file finds in CELAEST_PART. */
export function jobsOf(files, parts) {
  const jobs = files.flatMap((file) => (parts[basename(file)] ?? ['']).map((part) => ({
    file, part, name: basename(file, '.test.mjs') + (part && ` (${part})`),
  })));
  const times = readState(TIMES) ?? {};
  // What has never run may be long, the more so the more there is of it.
  const weight = ({ name, file }) => times[name] ?? 1e6 + statSync(join(ROOT, file)).size;
  return jobs.sort((one, other) => weight(other) - weight(one));
}

/** Runs one job; gives its tests, its output and its time. */
async function runJob({ file, part, name }, { env, folder, onLine }) {
  const report = join(folder, `report-${name.replaceAll(/\W/g, '-')}.jsonl`);
  const lines = [];
  const started = Date.now();
  const patience = name.endsWith('.slow') ? SLOW_PATIENCE : PATIENCE;
  const service = await Service.start(process.execPath, [
    '--no-warnings', '--test', `--test-timeout=${patience}`,
    '--test-reporter=spec', '--test-reporter-destination=stdout',
    `--test-reporter=${REPORTER}`, `--test-reporter-destination=${report}`, file,
  ], {
    cwd: ROOT, patience: 3000, env: { ...env, CELAEST_PART: part },
    onLine: (line) => {
      lines.push(line);
      onLine?.(line);
    },
  });
  const code = await service.exit;
  const tests = existsSync(report) ? readFileSync(report, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
  rmSync(report, { force: true });
  const seconds = (Date.now() - started) / 1000;
  const failed = tests.filter(({ outcome }) => outcome === 'failed').length;
  // A file that ends badly without a failing test has failed itself.
  if (code && !failed) tests.push({ name: 'the file itself', outcome: 'failed', seconds });
  return { name, tests, lines, seconds, failed: code !== 0 };
}

const count = (tests, outcome) => tests.filter((test) => test.outcome === outcome).length;
const seconds = (time) => duration(time * 1000).padStart(9);

/**
 * Runs jobs, at most `lanes` at a time.
 *
 * @returns `{ passed, failed, skipped }`
 */
export async function runJobs(jobs, { lanes, env, folder }) {
  const waiting = [...jobs];
  const done = [];
  const alone = jobs.length === 1;
  const lane = async () => {
    while (waiting.length) {
      const onLine = alone ? (line) => process.stdout.write(`${line}\n`) : undefined;
      const result = await runJob(waiting.shift(), { env, folder, onLine });
      done.push(result);
      if (result.failed && !alone) process.stdout.write(`\n${result.lines.join('\n')}\n\n`);
      process.stdout.write(`${result.failed ? '✖' : '✔'} ${seconds(result.seconds)}  ${result.name}: ${count(result.tests, 'passed')} passed${result.failed ? `, ${count(result.tests, 'failed')} failed` : ''}\n`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, jobs.length) }, lane));

  const times = Object.fromEntries(done.map((job) => [job.name, Math.round(job.seconds)]));
  writeState(TIMES, { ...readState(TIMES), ...times });
  const tests = done.flatMap((job) => job.tests.map((test) => ({ ...test, name: `${job.name}: ${test.name}` })));
  const slowest = (all) => all.sort((one, other) => other.seconds - one.seconds).slice(0, SLOWEST)
    .map((one) => `${seconds(one.seconds)}  ${one.name}\n`).join('');
  if (!alone) process.stdout.write(`\nThe slowest files:\n${slowest([...done])}`);
  process.stdout.write(`\nThe slowest tests:\n${slowest([...tests])}`);
  const failures = tests.filter(({ outcome }) => outcome === 'failed');
  if (failures.length) process.stdout.write(`\nFailed:\n${failures.map(({ name }) => `  ${name}\n`).join('')}`);
  return { passed: count(tests, 'passed'), failed: failures.length, skipped: count(tests, 'skipped') };
}
