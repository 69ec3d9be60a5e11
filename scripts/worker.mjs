// The worker in a process of its own: Miniflare with what lib/worker.mjs chose. It restarts the
// runtime by itself when that dies, and takes up each new bundle when told to watch.

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from 'miniflare';

const { main, build, watch, ...wishes } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

/** What the bundle's files look like: a new one differs, one that is being put in place is null. */
const bundle = () => (existsSync(main) ? `${statSync(main).ino} ${statSync(main).mtimeMs}` : null);

class Lines extends Log {
  log(message) {
    process.stdout.write(`${message}\n`);
  }
}

const TYPES = { '.js': 'ESModule', '.mjs': 'ESModule', '.wasm': 'CompiledWasm' };

/** The bundle's modules, the main one first. */
function modules() {
  const files = readdirSync(build, { recursive: true }).map((name) => join(build, name)).filter((file) => extname(file) in TYPES);
  return [main, ...files.filter((file) => file !== main)].map((path) => ({ type: TYPES[extname(path)], path }));
}

const options = () => convertV4MiniflareOptions({
  ...wishes,
  modules: modules(),
  modulesRoot: build,
  log: new Lines(LogLevel.WARN),
  unsafeHandleRuntimeRestart: () => process.stdout.write('The runtime had ended by itself and answers again.\n'),
});

let current = bundle();
const miniflare = new Miniflare(options());
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => miniflare.dispose().finally(() => process.exit(0)));

/** Takes up a bundle that has changed; one that does not load is no reason to end. */
async function reload() {
  const now = bundle();
  if (now === null || now === current) return;
  current = now;
  try {
    await miniflare.setOptions(options());
    process.stdout.write('The new build answers now.\n');
  } catch (error) {
    process.stdout.write(`The new build cannot be loaded: ${error.message}\n`);
  }
}

await miniflare.ready;
process.stdout.write('ready\n');
while (watch) {
  await new Promise((resolve) => setTimeout(resolve, 300));
  await reload();
}
