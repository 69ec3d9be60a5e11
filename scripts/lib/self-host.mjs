// The worker without Cloudflare: everything that workerd needs in one folder, made of wrangler.toml and the
// bundle. See docs/self-host.md.

import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { appendFileSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { isDue } from '../../self-host/cron.mjs';
import { buildProgram } from './cargo.mjs';
import { BUILD, ROOT } from './paths.mjs';
import { Service, freePort, run, until } from './processes.mjs';
import { Problem } from './terminal.mjs';

/** Variables that are no text of wrangler.toml: secrets, and what only a machine of one's own knows. */
const SECRETS = [
  'LICENSE_KEY_SECRET', 'API_KEY_PEPPER', 'ENCRYPTION_KEY', 'AUDIT_SIGNING_KEY', 'SUPABASE_ANON_KEY', 'SUPABASE_JWT_SECRET', 'EMAIL_API_KEY',
  'STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET',
];

const text = (value) => JSON.stringify(value);
const list = (items, indent = '    ') => `[\n${items.map((item) => `${indent}  ${item},`).join('\n')}\n${indent}]`;
const json = (name, value) => `(name = ${text(name)}, json = ${text(JSON.stringify(value))})`;
const embed = (name, file, type) => `(name = ${text(name)}, ${type} = embed ${text(file)})`;
const namespace = (name) => `(className = ${text(name)}, uniqueKey = ${text(`celaest-${name}`)}, enableSql = true)`;

/** The names of all variables: those of wrangler.toml, those of the example, and the secrets. */
export function variables(worker) {
  const example = readFileSync(join(ROOT, '.dev.vars.example'), 'utf8').matchAll(/^([A-Z][A-Z0-9_]*)=/gm);
  const inFile = Object.keys(worker.bindings ?? {});
  return [...new Set([...inFile, ...[...example].map(([, name]) => name), ...SECRETS])];
}

/** What a consumer is, in the broker's words. */
const consumerOf = ({ maxBatchSize = 10, maxBatchTimeout = 5, maxRetries = 3, deadLetterQueue }) => ({
  batch: maxBatchSize, timeout: maxBatchTimeout, retries: maxRetries, dead: deadLetterQueue,
});

/** workerd's configuration. `database` and `port` are filled in when it starts, by the entry point. */
export function configOf(worker, { crons, files, headers, release }) {
  crons.forEach((cron) => isDue(cron, 0));
  const objects = Object.entries(worker.durableObjects).map(([binding, { className }]) => [binding, className]);
  const producers = Object.entries(worker.queueProducers).map(([binding, { queueName }]) => [binding, queueName]);
  const consumers = Object.fromEntries(Object.entries(worker.queueConsumers).map(([name, wishes]) => [name, consumerOf(wishes)]));
  const bindings = [
    ...variables(worker).map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
    ...objects.map(([binding, name]) => `(name = ${text(binding)}, durableObjectNamespace = ${text(name)})`),
    ...producers.map(([binding, queue]) => `(name = ${text(binding)}, queue = (name = "broker", entrypoint = "Queue", props = (json = ${text(JSON.stringify({ queue }))})))`),
    ...Object.keys(worker.hyperdrives).map((binding) => `(name = ${text(binding)}, hyperdrive = (designator = "postgres", database = "@DATABASE@", user = "@DATABASE_USER@", password = "@DATABASE_PASSWORD@", scheme = "postgresql"))`),
  ];
  return `# Made by "npm run self-host" of wrangler.toml; the entry point fills in what stands between @.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "front", worker = .front),
    (name = "core", worker = .core),
    (name = "broker", worker = .broker),
    (name = "objects", disk = (path = "@DATA@/objects", writable = true)),
    (name = "messages", disk = (path = "@DATA@/messages", writable = true)),
    (name = "public", disk = (path = "public")),
    (name = "postgres", external = (address = "@DATABASE_HOST@", tcp = ())),
    (name = "internet", network = (allow = [@NETWORKS@], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [
    (name = "http", address = "@ADDRESS@", http = (), service = "front"),
    (name = "queues", address = "@QUEUES_ADDRESS@", http = (), service = "broker"),
  ],
);

const front :Workerd.Worker = (
  modules = [${embed('front.js', 'front.js', 'esModule')}],
  compatibilityDate = ${text(worker.compatibilityDate)},
  bindings = ${list([
    '(name = "CORE", service = "core")', '(name = "BROKER", service = "broker")', '(name = "PUBLIC", service = "public")',
    json('FILES', files), json('HEADERS', headers), `(name = "RELEASE", text = ${text(release)})`,
  ])},
);

const core :Workerd.Worker = (
  modules = [${embed('index.js', 'index.js', 'esModule')}, ${embed('wasm_bg.wasm', 'wasm_bg.wasm', 'wasm')}],
  compatibilityDate = ${text(worker.compatibilityDate)},
  compatibilityFlags = ${list((worker.compatibilityFlags ?? []).map(text))},
  globalOutbound = "internet",
  durableObjectNamespaces = ${list(objects.map(([, name]) => namespace(name)))},
  durableObjectStorage = (localDisk = "objects"),
  bindings = ${list(bindings)},
);

const broker :Workerd.Worker = (
  modules = [${embed('broker.js', 'broker.js', 'esModule')}],
  compatibilityDate = ${text(worker.compatibilityDate)},
  compatibilityFlags = ["service_binding_extra_handlers", "experimental"],
  durableObjectNamespaces = ${list(['QueueObject', 'ClockObject'].map(namespace))},
  durableObjectStorage = (localDisk = "messages"),
  bindings = ${list([
    '(name = "CORE", service = "core")', '(name = "QUEUES", durableObjectNamespace = "QueueObject")',
    '(name = "CLOCK", durableObjectNamespace = "ClockObject")', json('CONSUMERS', consumers), json('CRONS', crons),
  ])},
);
`;
}

/** Puts all that workerd needs into `folder`; the worker must be built. */
export async function assemble(folder, worker) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of ['index.js', 'wasm_bg.wasm']) cpSync(join(BUILD, name), join(folder, name));
  await build({
    entryPoints: { broker: join(ROOT, 'self-host/broker.mjs'), front: join(ROOT, 'self-host/front.mjs') },
    bundle: true, format: 'esm', outdir: folder, external: ['cloudflare:*'], logLevel: 'error',
  });
  cpSync(join(ROOT, 'public'), join(folder, 'public'), { recursive: true });
  const found = readdirSync(join(folder, 'public'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.startsWith('_'));
  const files = found.map(({ parentPath, name }) => join(parentPath, name).slice(join(folder, 'public').length).replace(/\.html$/, ''));
  const headers = readFileSync(join(ROOT, 'public/_headers'), 'utf8').split('\n').filter((line) => line.startsWith('  '))
    .map((line) => line.trim().split(/:\s*/, 1).concat(line.trim().replace(/^[^:]*:\s*/, '')));
  const crons = worker.triggers ?? readFileSync(join(ROOT, 'wrangler.toml'), 'utf8').match(/crons = \[([\s\S]*?)\]/)[1].match(/"[^"]+"/g).map((quoted) => JSON.parse(quoted));
  const release = createHash('sha256').update(readFileSync(join(folder, 'wasm_bg.wasm'))).digest('hex').slice(0, 12);
  writeFileSync(join(folder, 'config.capnp'), configOf(worker, { crons, files, headers, release }));
  writeFileSync(join(folder, 'variables'), `${['DATABASE_URL', ...variables(worker)].join('\n')}\n`);
  for (const name of ['entrypoint.sh', 'answers.sh']) cpSync(join(ROOT, 'self-host', name), join(folder, name));
}

/** The runtime for this machine's kind of processor. */
function runtime() {
  const inWorkerd = createRequire(createRequire(import.meta.url).resolve('workerd/package.json'));
  return inWorkerd.resolve(`@cloudflare/workerd-linux-${process.arch === 'arm64' ? 'arm64' : '64'}/bin/workerd`);
}

/**
 * Puts what the images of the Dockerfile are made of into `folder`: programs in `bin/`, the worker in `core/`,
 * migrations and seeds with the script that applies them in `setup/`. The worker must be built.
 */
export async function assembleContainers(folder, worker, note) {
  rmSync(folder, { recursive: true, force: true });
  await assemble(join(folder, 'core'), worker);
  const migrator = await buildProgram('bin', 'celaest-migrate', { note, failure: 'The migrator could not be built: see the lines above.' });
  const programs = { workerd: runtime(), node: process.execPath, 'celaest-migrate': migrator };
  for (const [name, path] of Object.entries(programs)) cpSync(path, join(folder, 'bin', name), { dereference: true });
  await run('strip', [join(folder, 'bin/celaest-migrate')], { note });
  for (const name of ['migrations', 'seeds']) cpSync(join(ROOT, name), join(folder, 'setup', name), { recursive: true });
  await build({
    entryPoints: [join(ROOT, 'self-host/setup.mjs')],
    // Two folders deep, as the scripts are that look for what they need from there.
    outfile: join(folder, 'setup/tools/bin/setup.mjs'),
    bundle: true, format: 'esm', platform: 'node', external: ['pg-native'], logLevel: 'error',
    // The PostgreSQL driver asks for parts of Node in the old way.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
}

/** How long the runtime may take until it answers for the first time, in ms. */
const START_PATIENCE = 90_000;

/**
 * Starts what `assemble` made, as a container does; the counterpart of `startWorker`.
 *
 * @param {object} options
 * @param {string} options.folder from `assemble`
 * @param {string} options.state folder for objects and messages
 * @param {Record<string, string>} options.vars variables and secrets
 * @param {string} options.databaseUrl the run-time role's
 * @param {number} options.port
 * @param {string} options.log file for everything that is printed
 * @param {boolean} [options.waitReady] false: until it answers at all
 * @param {number} [options.patience] ms that it has to end, 0 for none
 * @returns `{ url, port, service, queues }`: `queues` is where an operator asks
 */
export async function startSelfHost({ folder, state, vars, databaseUrl, port, log, waitReady = true, patience }) {
  for (const path of [state, dirname(log)]) mkdirSync(path, { recursive: true });
  const queues = `127.0.0.1:${await freePort()}`;
  const service = await Service.start(join(folder, 'entrypoint.sh'), [], {
    patience,
    env: {
      ...process.env, ...vars, WORKERD: join(ROOT, 'node_modules/.bin/workerd'), DATABASE_URL: databaseUrl, DATA: state, ADDRESS: `127.0.0.1:${port}`,
      QUEUES_ADDRESS: queues, ALLOW_PRIVATE_NETWORK: 'true',
    },
    onLine: (line) => appendFileSync(log, `${line}\n`),
  });
  const url = `http://127.0.0.1:${port}`;
  const answers = () => fetch(`${url}/health/${waitReady ? 'ready' : 'live'}`, { signal: AbortSignal.timeout(5000) }).then(({ ok }) => ok, () => false);
  if (!await until(async () => service.ended || answers(), START_PATIENCE) || service.ended) {
    await service.stop();
    throw new Problem(`The worker did not get ready: everything it printed is in ${log}.`);
  }
  return { url, port, service, queues: `http://${queues}` };
}
