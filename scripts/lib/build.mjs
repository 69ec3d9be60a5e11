// The worker's build: sources to `build/`, and only when they changed.

import { createHash } from 'node:crypto';
import {
  copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { basename, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { COUNTING, MODULE } from './coverage/index.mjs';
import { named } from './order.mjs';
import { BUILD, COVERAGE, ROOT, STATE } from './paths.mjs';
import { run } from './processes.mjs';
import { checkRust, wasmTarget } from './rust.mjs';
import { readState, writeState } from './state.mjs';
import { Problem } from './terminal.mjs';
import { installTools, toolchain } from './tools.mjs';

/** What the bundle may weigh, gzipped: less than a fifth of what the platform takes. */
export const BUDGET = 1_800_000;

const TARGET = 'wasm32-unknown-unknown';
const STAGE = join(STATE, 'stage');
const FILES = ['index.js', 'wasm_bg.wasm'];

// Those that rustc uses for the target, and no newer ones that the platform may not know yet.
const FEATURES = [
  'mutable-globals', 'sign-ext', 'nontrapping-float-to-int', 'bulk-memory', 'multivalue', 'reference-types',
  'exception-handling',
];

const STAMP = join(STATE, COVERAGE ? 'coverage/build.json' : 'build.json');
const SOURCES = ['src', 'durable', 'Cargo.toml', 'Cargo.lock', ...(COVERAGE ? ['scripts/lib/coverage'] : [])];
const ENTRY = COVERAGE ? 'scripts/lib/coverage/entry.mjs' : 'src/entry/index.mjs';

// Daily work: seconds instead of minutes, and a larger, slower bundle.
const FAST_PROFILE = {
  CARGO_PROFILE_RELEASE_OPT_LEVEL: '1',
  CARGO_PROFILE_RELEASE_LTO: 'off',
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
  CARGO_PROFILE_RELEASE_INCREMENTAL: 'true',
  ...(COVERAGE ? COUNTING : {}),
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
  hash.update(JSON.stringify([profile, env.RUSTC ?? 'rustc', toolchain().version]));
  for (const source of SOURCES) {
    for (const file of filesBelow(join(ROOT, source))) {
      hash.update(`\0${relative(ROOT, file)}\0`).update(readFileSync(file));
    }
  }
  return hash.digest('hex');
}

/** The bundle's size in bytes, as it is and gzipped. */
export function bundleSize() {
  const files = FILES.map((name) => readFileSync(join(BUILD, name)));
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
  const built = join(BUILD, FILES[0]);
  const last = existsSync(built) ? readState(STAMP) : null;
  if (!force && last?.digest === digest) return `nothing changed, ${sizeWords(fast)}`;

  rmSync(STAMP, { force: true });
  await compile({ note, env, fast });
  await bundle({ note, fast });
  writeState(STAMP, { digest, profile });
  return `built, ${sizeWords(fast)}`;
}

/** From Rust to WebAssembly. */
async function compile({ note, env, fast }) {
  note(fast ? 'cargo build, fast profile' : 'cargo build with link-time optimization, a few minutes the first time');
  await run('cargo', ['build', '--release', '--lib', '--target', TARGET, ...(fast ? [] : ['--locked'])], {
    cwd: ROOT, note,
    env: { ...process.env, ...(fast ? FAST_PROFILE : {}), ...env },
    failure: 'The worker could not be built: see the lines above.',
  });
}

/** From WebAssembly to the two files that the platform loads: made in a folder of their own, then put in place. */
async function bundle({ note, fast }) {
  const { wasmBindgen, wasmOpt, esbuild } = toolchain();
  const compiled = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), TARGET, 'release/celaest_core.wasm');
  if (COVERAGE) copyFileSync(compiled, MODULE);
  const step = (program, args) => run(program, args, {
    cwd: ROOT, note, failure: `The bundle could not be made: see the lines of ${basename(program)} above.`,
  });
  rmSync(STAGE, { recursive: true, force: true });
  await step(wasmBindgen, [
    '--target', 'module', '--no-typescript', '--out-dir', STAGE, '--out-name', 'wasm',
    // A panic ends the instance; src/entry/instance.mjs begins a new one.
    '--experimental-reset-state-function', '--force-enable-abort-handler',
    compiled,
  ]);
  const wasm = join(STAGE, 'wasm_bg.wasm');
  if (!fast) {
    const optimize = (...passes) => step(wasmOpt, [
      ...FEATURES.map((name) => `--enable-${name}`), ...passes, '--strip-debug', '--strip-producers', wasm, '-o', wasm,
    ]);
    // Without the functions' names, which are a twelfth of it and read by nobody there. Only what is small becomes a
    // part of what calls it: what is large and alike compresses well only while it stays alike.
    // Below the stack, where memory begins, is nothing that a pointer may lead to.
    await optimize('--one-caller-inline-max-function-size=60', '--always-inline-max-function-size=12', '--low-memory-unused', '-Oz');
    note('functions that are alike side by side');
    writeFileSync(wasm, named(readFileSync(wasm)));
    await optimize('--reorder-functions-by-name');
  }
  await step(esbuild, [
    join(ROOT, ENTRY), '--bundle', '--format=esm', '--minify', `--outfile=${join(STAGE, 'index.js')}`,
    `--alias:celaest-wasm=${join(STAGE, 'wasm.js')}`, `--alias:celaest-together=${join(ROOT, 'src/entry/together.mjs')}`,
    `--inject:${join(ROOT, 'src/entry/microtasks.mjs')}`,
    '--external:./wasm_bg.wasm', '--external:cloudflare:*', '--supported:import-source=true', '--log-level=warning',
  ]);
  const entry = join(STAGE, 'index.js');
  // The platform knows only the plain form of importing a module of WebAssembly.
  writeFileSync(entry, readFileSync(entry, 'utf8').replace(/import source /, 'import '));
  mkdirSync(BUILD, { recursive: true });
  for (const name of FILES.toReversed()) renameSync(join(STAGE, name), join(BUILD, name));
  rmSync(STAGE, { recursive: true, force: true });
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
