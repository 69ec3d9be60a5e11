// npm run build [-- --dev] [-- --force]: builds the worker and weighs it.

import { bootstrap } from './lib/bootstrap.mjs';
import { steps } from './lib/terminal.mjs';

await bootstrap(async ({ packages }) => {
  const { checkRust, wasmTarget } = await import('./lib/rust.mjs');
  const { installTools } = await import('./lib/tools.mjs');
  const { buildWorker } = await import('./lib/build.mjs');
  const step = steps(5);
  let env = {};
  await step('npm packages', () => packages);
  await step('Rust', () => checkRust());
  await step('WebAssembly target', async (note) => {
    const target = await wasmTarget(note);
    env = target.env;
    return target.words;
  });
  await step('wasm-bindgen', installTools);
  await step('worker', (note) => buildWorker({
    note, env, fast: process.argv.includes('--dev'), force: process.argv.includes('--force'),
  }));
});
