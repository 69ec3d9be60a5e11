// The worker's bundle under plain `workerd serve`, without wrangler around it, next to
// the JavaScript worker it is compared with.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILD, ROOT } from '../../scripts/lib/paths.mjs';
import { Service, freePort, until } from '../../scripts/lib/processes.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const WORKERD = join(ROOT, 'node_modules/.bin/workerd');

const text = (value) => JSON.stringify(String(value));

/** The worker's own date: both workers get the platform as the worker has it. */
function compatibilityDate() {
  return readFileSync(join(ROOT, 'wrangler.toml'), 'utf8').match(/^compatibility_date = "([\d-]+)"/m)[1];
}

/** The configuration in Cap'n Proto's text form. */
function config({ ports, vars, database }) {
  const bindings = Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
  const date = text(compatibilityDate());
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "core", worker = .core),
    (name = "floor", worker = .floor),
    (name = "queue", worker = .queue),
    (name = "postgres", external = (address = ${text(`127.0.0.1:${database.port}`)}, tcp = ())),
    (name = "core-objects", disk = (path = "core-objects", writable = true)),
    (name = "floor-objects", disk = (path = "floor-objects", writable = true)),
  ],
  sockets = [
    (name = "core", address = ${text(`127.0.0.1:${ports.core}`)}, http = (), service = "core"),
    (name = "floor", address = ${text(`127.0.0.1:${ports.floor}`)}, http = (), service = "floor"),
  ],
);

const core :Workerd.Worker = (
  compatibilityDate = ${date},
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  bindings = [
    ${bindings.join(',\n    ')},
    (name = "HYPERDRIVE", hyperdrive = (designator = "postgres", database = ${text(database.name)},
      user = ${text(database.user)}, password = ${text(database.password)}, scheme = "postgresql")),
    (name = "LICENSE", durableObjectNamespace = "LicenseObject"),
    (name = "RATE_LIMIT", durableObjectNamespace = "RateLimitObject"),
    (name = "SEAL_HEAD", durableObjectNamespace = "SealHeadObject"),
    (name = "VALIDATIONS", queue = "queue"),
    (name = "EVENTS", queue = "queue"),
  ],
  durableObjectNamespaces = [
    (className = "LicenseObject", uniqueKey = "license", enableSql = true),
    (className = "RateLimitObject", uniqueKey = "rate-limit", enableSql = true),
    (className = "SealHeadObject", uniqueKey = "seal-head", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "core-objects"),
);

const floor :Workerd.Worker = (
  compatibilityDate = ${date},
  modules = [(name = "floor.js", esModule = embed "floor.js")],
  bindings = [(name = "OBJECT", durableObjectNamespace = "FloorObject")],
  durableObjectNamespaces = [(className = "FloorObject", uniqueKey = "floor", enableSql = true)],
  durableObjectStorage = (localDisk = "floor-objects"),
);

# Takes every message and forgets it: the consumer is not what is measured.
const queue :Workerd.Worker = (
  compatibilityDate = ${date},
  modules = [(name = "queue.js", esModule = embed "queue.js")],
);
`;
}

/**
 * Starts workerd with everything in `folder`.
 *
 * @returns {Promise<{ports: {core: number, floor: number}, stop: () => Promise<void>}>}
 */
export async function startWorkerd({ folder, vars, database }) {
  for (const name of ['core-objects', 'floor-objects']) mkdirSync(join(folder, name), { recursive: true });
  for (const name of ['index.js', 'index_bg.wasm']) copyFileSync(join(BUILD, name), join(folder, name));
  for (const name of ['floor.js', 'queue.js']) copyFileSync(join(HERE, name), join(folder, name));
  const ports = { core: await freePort(), floor: await freePort() };
  const file = join(folder, 'bench.capnp');
  writeFileSync(file, config({ ports, vars, database }));

  const lines = [];
  const service = await Service.start(WORKERD, ['serve', file], {
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
  return { ports, stop: () => service.stop() };
}
