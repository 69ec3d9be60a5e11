// The worker's build: sources to `build/`, and only when they changed.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { BUILD, ROOT, STATE } from './paths.mjs';
import { run } from './processes.mjs';
import { checkRust, wasmTarget } from './rust.mjs';
import { Problem } from './terminal.mjs';
import { installTools, toolchain } from './tools.mjs';

/** What the bundle may weigh, gzipped. */
export const BUDGET = 1_500_000;

const STAMP = join(STATE, 'build.json');
const SOURCES = ['src', 'durable', 'Cargo.toml', 'Cargo.lock'];

// Daily work: seconds instead of minutes, and a larger, slower bundle.
const FAST_PROFILE = {
  CARGO_PROFILE_RELEASE_OPT_LEVEL: '1',
  CARGO_PROFILE_RELEASE_LTO: 'off',
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
  CARGO_PROFILE_RELEASE_INCREMENTAL: 'true',
};

function* filesBelow(path) {
  if (!existsSync(path)) return;
  if (path.endsWith('.toml') || path.endsWith('.lock')) {
    yield path;
    return;
  }
  for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) yield* filesBelow(inner);
    else yield inner;
  }
}

/** A digest of all that the bundle depends on. */
function fingerprint(profile, env) {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([profile, env.RUSTC ?? 'rustc', toolchain().versions]));
  for (const source of SOURCES) {
    for (const file of filesBelow(join(ROOT, source))) {
      hash.update(`\0${relative(ROOT, file)}\0`).update(readFileSync(file));
    }
  }
  return hash.digest('hex');
}

/** The bundle's size in bytes, as it is and gzipped. */
export function bundleSize() {
  const files = ['index.js', 'index_bg.wasm'].map((name) => readFileSync(join(BUILD, name)));
  return {
    raw: files.reduce((sum, file) => sum + file.length, 0),
    gzipped: files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0),
  };
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

/** One line about the bundle's size, or a problem when it is over the budget. */
export function sizeLine() {
  const { raw, gzipped } = bundleSize();
  const line = `bundle ${megabytes(raw)}, gzipped ${megabytes(gzipped)} of ${megabytes(BUDGET)} allowed (${Math.round((100 * gzipped) / BUDGET)} %)`;
  if (gzipped > BUDGET) throw new Problem(`The ${line}: remove a dependency or a feature before this is deployed.`);
  return line;
}

/**
 * Builds the worker unless nothing changed since the last time.
 *
 * @param {object} options
 * @param {object} options.env what the target's toolchain adds to the environment
 * @param {boolean} [options.fast] the profile for daily work
 * @param {boolean} [options.force] build even if nothing changed
 * @returns a few words for the terminal
 */
export async function buildWorker({ note, env, fast = false, force = false }) {
  copyViewer();
  const profile = fast ? 'fast' : 'release';
  const digest = fingerprint(profile, env);
  const built = join(BUILD, 'worker/shim.mjs');
  const last = existsSync(STAMP) && existsSync(built) ? JSON.parse(readFileSync(STAMP, 'utf8')) : {};
  if (!force && last.digest === digest) return `nothing changed, ${sizeWords(fast)}`;

  const { workerBuild, env: tools } = toolchain();
  const args = ['--release', ...(fast ? ['--no-opt'] : [])];
  note(fast ? 'worker-build, fast profile' : 'worker-build with link-time optimization, a few minutes the first time');
  rmSync(STAMP, { force: true });
  await run(workerBuild, args, {
    cwd: ROOT, note,
    env: { ...process.env, ...(fast ? FAST_PROFILE : {}), ...env, ...tools },
    failure: 'The worker could not be built: see the lines above.',
  });
  if (!fast) await strip(tools.WASM_OPT_BIN, note);
  mkdirSync(STATE, { recursive: true });
  writeFileSync(STAMP, JSON.stringify({ digest, profile }));
  return `built, ${sizeWords(fast)}`;
}

/** Takes the functions' names out of the bundle: a twelfth of it, and nobody reads them there. */
async function strip(wasmOpt, note) {
  const file = join(BUILD, 'index_bg.wasm');
  await run(wasmOpt, ['--all-features', '--strip-debug', '--strip-producers', file, '-o', file], {
    cwd: ROOT, note, failure: 'The bundle could not be stripped: see the lines above.',
  });
}

/** A release build from nothing: the target and the tools are seen to first. */
export async function prepareBuild(note) {
  checkRust();
  const { env } = await wasmTarget(note);
  await installTools(note);
  return buildWorker({ note, env });
}

/** The size of the bundle; only the release one has to keep to the budget. */
function sizeWords(fast) {
  if (!fast) return sizeLine();
  const { raw, gzipped } = bundleSize();
  return `bundle ${megabytes(raw)}, gzipped ${megabytes(gzipped)} (fast profile)`;
}

/** Puts the documentation viewer beside its page: it is served from here, not a CDN. */
function copyViewer() {
  const from = join(ROOT, 'node_modules/swagger-ui-dist');
  const to = join(ROOT, 'public/vendor');
  mkdirSync(to, { recursive: true });
  for (const name of ['swagger-ui-bundle.js', 'swagger-ui.css', 'LICENSE']) {
    copyFileSync(join(from, name), join(to, name));
  }
}
