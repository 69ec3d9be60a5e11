// Runs a scenario of `load/` where k6 is not installed: the same modules, a fixed number of iterations.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT, STATE } from './paths.mjs';

/** The names of the scenarios. */
export const scenarios = () => readdirSync(join(ROOT, 'load'))
  .filter((name) => name.endsWith('.js') && name !== 'lib.js').map((name) => name.slice(0, -3)).toSorted();

const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

/**
 * Runs a scenario: its set-up, its iterations side by side, its end.
 *
 * @param {string} name
 * @param {object} options
 * @param {Record<string, string>} options.env as k6's `-e`
 * @param {number} [options.iterations]
 * @param {number} [options.together] how many run side by side
 * @returns `{ checks, requests, rate, p50, p95, options }`: times in ms, of the iterations alone
 */
export async function runScenario(name, { env, iterations = 100, together = 10 }) {
  const outfile = join(STATE, 'load', `${name}.mjs`);
  await build({
    stdin: {
      contents: `export * as scenario from './load/${name}.js'; export { checks } from 'k6'; export { requests } from 'k6/http';`,
      resolveDir: ROOT,
    },
    bundle: true, format: 'esm', platform: 'node', outfile, logLevel: 'error',
    alias: { k6: join(ROOT, 'scripts/lib/k6/k6.mjs'), 'k6/http': join(ROOT, 'scripts/lib/k6/http.mjs'), 'k6/metrics': join(ROOT, 'scripts/lib/k6/metrics.mjs') },
    define: { __ENV: JSON.stringify(env) },
  });
  const { scenario, checks, requests } = await import(`${outfile}?${Date.now()}`);
  const data = await scenario.setup?.();
  const before = requests.length;
  const began = performance.now();
  let begun = 0;
  await Promise.all(Array.from({ length: together }, async () => {
    while (begun < iterations) {
      begun += 1;
      await scenario.default(data);
    }
  }));
  const seconds = (performance.now() - began) / 1000;
  const times = requests.slice(before).map(({ ms }) => ms).toSorted((a, b) => a - b);
  await scenario.teardown?.(data);
  return {
    checks: Object.fromEntries(checks), requests, options: scenario.options,
    rate: times.length / seconds, p50: percentile(times, 0.5), p95: percentile(times, 0.95),
  };
}
