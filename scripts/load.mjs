// npm run load -- <scenario>: puts load on a running worker, with k6 where it is installed and else with a small
// runner that knows the same scenarios. Variables: load/lib.js says which; ITERATIONS and TOGETHER for the runner.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { runScenario, scenarios } from './lib/load.mjs';
import { ROOT } from './lib/paths.mjs';

const name = process.argv[2];
if (!scenarios().includes(name)) {
  process.stderr.write(`Which scenario? ${scenarios().join(', ')}\n`);
  process.exit(2);
}
if (spawnSync('k6', ['version']).status === 0) {
  process.exit(spawnSync('k6', ['run', join(ROOT, 'load', `${name}.js`), ...process.argv.slice(3)], { stdio: 'inherit' }).status ?? 1);
}
const { checks, rate, p50, p95 } = await runScenario(name, {
  env: process.env, iterations: Number(process.env.ITERATIONS ?? 1000), together: Number(process.env.TOGETHER ?? 32),
});
for (const [what, { passes, fails }] of Object.entries(checks)) process.stdout.write(`${fails ? '✖' : '✔'} ${what}: ${passes} of ${passes + fails}\n`);
process.stdout.write(`${rate.toFixed(0)} requests/s, p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms (k6 is not installed: a fixed number of iterations instead of its stages)\n`);
process.exitCode = Object.values(checks).some(({ fails }) => fails) ? 1 : 0;
