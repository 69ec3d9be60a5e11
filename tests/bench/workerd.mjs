// The worker under plain `workerd serve`, without wrangler around it, next to the JavaScript workers it is
// compared with. What the worker is made of, and what is bound to it, is read from wrangler.toml.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { unstable_readConfig as readConfig } from 'wrangler';
import { ROOT } from '../../scripts/lib/paths.mjs';
import { Service, freePort, until } from '../../scripts/lib/processes.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const WORKERD = join(ROOT, 'node_modules/.bin/workerd');

/** JSON in Cap'n Proto's text form, where names and enums are bare. */
const text = (value) => JSON.stringify(String(value));
const list = (items) => `[\n    ${items.join(',\n    ')},\n  ]`;
const binding = (name, value) => `(name = ${text(name)}, ${value})`;

/**
 * Bundles a module with what it imports, as wrangler does: WebAssembly stays a file of its own.
 *
 * @returns {Promise<string>} the modules of a worker, as its configuration lists them
 */
async function modules({ folder, name, contents }) {
  const wasm = new Set();
  await build({
    stdin: { contents, resolveDir: HERE, sourcefile: name, loader: 'js' },
    outfile: join(folder, `${name}.js`),
    bundle: true, format: 'esm', target: 'esnext', conditions: ['workerd', 'worker'], external: ['cloudflare:*', 'node:*'],
    logLevel: 'silent',
    plugins: [{
      name: 'wasm',
      setup: ({ onResolve }) => onResolve({ filter: /\.wasm(\?module)?$/ }, ({ path, resolveDir }) => {
        const file = resolve(resolveDir, path.replace('?module', ''));
        wasm.add(file);
        return { path: `./${basename(file)}`, external: true };
      }),
    }],
  });
  for (const file of wasm) copyFileSync(file, join(folder, basename(file)));
  return list([
    `(name = ${text(`${name}.js`)}, esModule = embed ${text(`${name}.js`)})`,
    ...[...wasm].map((file) => `(name = ${text(basename(file))}, wasm = embed ${text(basename(file))})`),
  ]);
}

/** The worker's own module, or the one that counts what its objects do. */
function entry({ main, durable_objects: { bindings } }, counting) {
  const from = JSON.stringify(main);
  if (!counting) return `export * from ${from};\nexport { default } from ${from};\n`;
  const classes = bindings.map(({ class_name: name }) => `export const ${name} = counted(worker.${name});\n`);
  return `import * as worker from ${from};
import { counted, counter } from './counting.js';
export { default } from ${from};
export { counter };
${classes.join('')}`;
}

/** The configuration in Cap'n Proto's text form. */
async function configuration({ folder, ports, vars, database, counting, delivering, provider }) {
  const config = readConfig({ config: join(ROOT, 'wrangler.toml') }, { hideWarnings: true });
  const objects = config.durable_objects.bindings;
  const { producers, consumers } = config.queues;
  const date = `compatibilityDate = ${text(config.compatibility_date)}`;
  const flags = (...more) => `compatibilityFlags = [${[...config.compatibility_flags, ...more].map(text).join(', ')}]`;
  const hyperdrive = (name) => binding(name, `hyperdrive = (designator = "postgres", database = ${text(database.name)},
      user = ${text(database.user)}, password = ${text(database.password)}, scheme = "postgresql")`);
  const floor = async (name, more = []) => `(
  ${date}, ${flags()},
  modules = ${await modules({ folder, name, contents: `export * from './${name}.js';\nexport { default } from './${name}.js';\n` })},
  bindings = ${list([binding('OBJECT', 'durableObjectNamespace = "FloorObject"'), ...more])},
  durableObjectNamespaces = [(className = "FloorObject", uniqueKey = ${text(name)}, enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
)`;
  const sizes = Object.fromEntries(consumers.map(({ queue, max_batch_size: size }) => [queue, size]));
  const socket = (name, port, service) => `(name = ${text(name)}, address = ${text(`127.0.0.1:${port}`)}, http = (), service = ${service})`;

  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "core", worker = .core),
    (name = "floor", worker = .floor),
    (name = "floor-sql", worker = .floorSql),
    (name = "floor-ai", worker = .floorAi),
    (name = "queue", worker = .queue),
    (name = "postgres", external = (address = ${text(`127.0.0.1:${database.port}`)}, tcp = ())),
    (name = "objects", disk = (path = "objects", writable = true)),
    # Webhooks go to a receiver on this machine.
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = ${list([
    socket('core', ports.core, '"core"'), socket('floor', ports.floor, '"floor"'), socket('floor-sql', ports.floorSql, '"floor-sql"'),
    socket('floor-ai', ports.floorAi, '"floor-ai"'), socket('queue', ports.queue, '"queue"'),
    ...(counting ? [socket('counter', ports.counter, '(name = "core", entrypoint = "counter")')] : []),
  ])},
);

const core :Workerd.Worker = (
  ${date}, ${flags()},
  modules = ${await modules({ folder, name: 'core', contents: entry(config, counting) })},
  bindings = ${list([
    ...Object.entries({ ...config.vars, ...vars }).map(([name, value]) => binding(name, `text = ${text(value)}`)),
    ...config.hyperdrive.map((one) => hyperdrive(one.binding)),
    ...objects.map((one) => binding(one.name, `durableObjectNamespace = ${text(one.class_name)}`)),
    ...producers.map((one) => binding(one.binding, `queue = (name = "queue", props = (json = ${text(JSON.stringify({ queue: one.queue }))}))`)),
  ])},
  durableObjectNamespaces = ${list(objects.map(({ class_name: name }) => `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`))},
  durableObjectStorage = (localDisk = "objects"),
);

const floor :Workerd.Worker = ${await floor('floor')};

const floorSql :Workerd.Worker = ${await floor('floor-sql', [hyperdrive('HYPERDRIVE')])};

const floorAi :Workerd.Worker = ${await floor('floor-ai', [binding('PROVIDER', `text = ${text(provider)}`)])};

const queue :Workerd.Worker = (
  ${date}, ${flags('service_binding_extra_handlers')},
  modules = ${await modules({ folder, name: 'queue', contents: "export { default } from './queue.js';\n" })},
  bindings = ${list([
    binding('SIZES', `json = ${text(JSON.stringify(sizes))}`),
    ...(counting || delivering ? [binding('CORE', 'service = "core"')] : []),
  ])},
);
`;
}

/** The processor time a process has used, in ms, or null where the system does not tell it this finely. */
export function processorMs(pid) {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return null;
  const spent = (task) => Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')[0]);
  return readdirSync(tasks).reduce((sum, task) => sum + spent(task), 0) / 1e6;
}

/**
 * Starts workerd in `folder`, where the worker's objects stay when it is stopped.
 *
 * @param {boolean} [options.counting] with `counting.js` in front of the objects and queues that deliver
 * @param {boolean} [options.delivering] with queues that deliver, when they are told to
 * @param {string} [options.provider] where the floor of AI calls asks
 * @returns {Promise<{ports: Record<string, number>, pid: number, stop: () => Promise<void>}>}
 */
export async function startWorkerd({ folder, vars, database, counting = false, delivering = false, provider = '' }) {
  mkdirSync(join(folder, 'objects'), { recursive: true });
  const ports = {};
  for (const name of ['core', 'floor', 'floorSql', 'floorAi', 'queue', 'counter']) ports[name] = await freePort();
  const file = join(folder, 'bench.capnp');
  writeFileSync(file, await configuration({ folder, ports, vars, database, counting, delivering, provider }));

  const lines = [];
  const service = await Service.start(WORKERD, ['serve', '--experimental', file], {
    cwd: folder,
    onLine: (line) => {
      lines.push(line);
      if (lines.length > 20) lines.shift();
    },
  });
  const answers = async () => {
    if (service.ended) return true;
    try {
      return (await fetch(`http://127.0.0.1:${ports.core}/health/ready`)).ok;
    } catch {
      return false;
    }
  };
  const up = await until(answers, 30_000);
  if (!up || service.ended) {
    await service.stop();
    throw new Error(`${lines.join('\n')}\n\nworkerd did not start.`);
  }
  return { ports, pid: service.pid, lines, stop: () => service.stop() };
}
