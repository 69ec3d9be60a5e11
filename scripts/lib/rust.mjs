// Rust itself, and its WebAssembly target by one of two roads: rustup, or Debian's
// packages where rustup cannot download.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE } from './paths.mjs';
import { ask, run } from './processes.mjs';
import { Problem } from './terminal.mjs';

const TARGET = 'wasm32-unknown-unknown';
const MINIMUM = [1, 88];
const DEBIAN_PACKAGES = ['rustc-web', 'cargo-web', 'rust-web-src'];

/** How long rustup may take before the other road is tried. */
const RUSTUP_PATIENCE = 60_000;

/**
 * Checks that cargo and a linker are there and new enough.
 *
 * @returns a few words for the terminal
 * @throws {Problem} saying what to install
 */
export function checkRust() {
  const version = ask('cargo', ['--version']);
  const advice = 'install it from https://rustup.rs, open a new terminal and run the same command again.';
  if (!version) throw new Problem(`Rust is missing (there is no cargo on the PATH): ${advice}`);
  const [major, minor] = version.split(' ')[1].split('.').map(Number);
  if (major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1])) {
    throw new Problem(`Rust ${MINIMUM.join('.')} or newer is needed and this is ${version}: run rustup update, then the same command again.`);
  }
  if (!ask('cc', ['--version'])) {
    throw new Problem('Rust needs a C compiler as its linker (there is no cc on the PATH): '
      + `${process.platform === 'darwin' ? 'run xcode-select --install' : 'install it (Debian: apt-get install build-essential)'}, then run the same command again.`);
  }
  return version.split(' ').slice(0, 2).join(' ');
}

/** Whether the target's standard library lies beside a compiler. */
function hasTarget(rustc, environment = process.env) {
  const folder = ask(rustc, ['--print', 'target-libdir', '--target', TARGET], { env: environment });
  return Boolean(folder) && existsSync(folder) && readdirSync(folder).some((name) => /^libstd-.*\.rlib$/.test(name));
}

/**
 * Makes the WebAssembly target usable.
 *
 * `CELAEST_WASM_ROAD=debian` skips rustup.
 *
 * @returns {Promise<{words: string, env: object}>} `env` is what a build for the target
 *   needs on top of the environment
 */
export async function wasmTarget(note) {
  let reason = 'CELAEST_WASM_ROAD=debian';
  if (process.env.CELAEST_WASM_ROAD !== 'debian') {
    if (hasTarget('rustc')) return { words: 'already there', env: {} };
    if (ask('rustup', ['--version'])) {
      note(`rustup target add ${TARGET}`);
      try {
        await run('rustup', ['target', 'add', TARGET], { note, every: 10, timeout: RUSTUP_PATIENCE });
        if (hasTarget('rustc')) return { words: 'installed by rustup', env: {} };
        reason = 'rustup reported success and the target is still not there';
      } catch (error) {
        reason = error.tail?.findLast((line) => /error|caused|timed out/i.test(line)) ?? 'no answer within a minute';
      }
      note(`rustup could not download it (${reason.trim()}): trying Debian's packages`);
    } else {
      reason = 'this Rust was not installed by rustup';
    }
  }
  return debianRoad(note, reason);
}

/** Runs a command as root: directly, or through sudo when it needs no password. */
export function asRoot(command, args, options) {
  return process.getuid() === 0
    ? run(command, args, options)
    : run('sudo', ['-n', command, ...args], options);
}

/** Whether `asRoot` can work here. */
export function canBeRoot() {
  return process.getuid() === 0 || ask('sudo', ['-n', 'true']) !== null;
}

/** Installs Debian packages, with a fresh list when the present one is not enough. */
export async function installDebianPackages(packages, note, failure) {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  // RUNLEVEL keeps packages with a service from starting it.
  const get = (...args) => asRoot('env', [
    'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get', '-q', ...args,
  ], { note, env: environment, failure });
  const install = () => get('install', '-y', '--no-install-recommends', ...packages);
  note(`apt-get install ${packages.join(' ')}`);
  try {
    await install();
  } catch {
    await get('update');
    await install();
  }
}

/** Debian's own compiler and sources, with the target's library built from them. */
async function debianRoad(note, reason) {
  const way = `The WebAssembly target is missing and rustup could not add it (${reason.trim()})`;
  if (process.platform !== 'linux' || !ask('apt-get', ['--version'])) {
    throw new Problem(`${way}: run "rustup target add ${TARGET}" on a network that reaches the servers of rustup, then the same command again.`);
  }
  const rustc = '/usr/bin/rustc';
  const environment = debianEnvironment();
  const complete = () => existsSync(rustc) && existsSync('/usr/bin/cargo') && hasTarget(rustc, environment);
  if (complete()) return { words: "already there (Debian's Rust)", env: debianVariables() };
  if (!canBeRoot()) {
    throw new Problem(`${way}; Debian's packages could replace it, which needs root: run "sudo -v" and then the same command again within a few minutes.`);
  }
  const failure = `${way}, and Debian's packages ${DEBIAN_PACKAGES.join(', ')} could not be installed either: see the lines above.`;
  await installDebianPackages(DEBIAN_PACKAGES, note, failure);
  if (!findLinker()) await installDebianPackages(['lld'], note, failure);
  await buildStandardLibrary(note, rustc, environment);
  if (!complete()) throw new Problem(`${way}, and building it from Debian's sources left no usable library.`);
  return { words: "built with Debian's Rust", env: debianVariables() };
}

/** A linker for WebAssembly: the one of rustup's toolchain, or Debian's lld. */
function findLinker() {
  const sysroot = ask('rustc', ['--print', 'sysroot']);
  const host = ask('rustc', ['-vV'])?.match(/^host: (.*)$/m)?.[1];
  const candidates = [
    sysroot && host && join(sysroot, 'lib/rustlib', host, 'bin/rust-lld'),
    ask('sh', ['-c', 'command -v wasm-ld || ls /usr/bin/wasm-ld-* 2>/dev/null | tail -n 1']),
  ];
  return candidates.find((path) => path && existsSync(path));
}

/** What a build with Debian's compiler adds to the environment. */
function debianVariables() {
  // A folder of its own: /usr/bin first on the PATH would also bring another Node.
  const bin = join(CACHE, 'debian-rust');
  mkdirSync(bin, { recursive: true });
  for (const name of ['cargo', 'rustc']) {
    if (!existsSync(join(bin, name))) symlinkSync(`/usr/bin/${name}`, join(bin, name));
  }
  return {
    PATH: `${bin}:${process.env.PATH}`,
    RUSTC: '/usr/bin/rustc',
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: findLinker(),
  };
}

/** The environment for Debian's compiler, without what would bend it. */
function debianEnvironment() {
  const { RUSTFLAGS, RUSTC_WRAPPER, CARGO_TARGET_DIR, ...rest } = process.env;
  return rest;
}

/**
 * Builds the target's standard library from Debian's sources and puts it where the
 * compiler looks for it. From an empty folder, so that no older copy lands there; with
 * bitcode, without which a build with link-time optimization fails.
 */
async function buildStandardLibrary(note, rustc, environment) {
  const name = 'celaest_std';
  const folder = mkdtempSync(join(tmpdir(), 'celaest-std-'));
  try {
    writeFileSync(join(folder, 'Cargo.toml'), `[package]\nname = "${name}"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n`);
    writeFileSync(join(folder, 'lib.rs'), '#![no_std]\n');
    note("building the target's standard library, about a minute");
    await run('/usr/bin/cargo', [
      'build', '--release', '-Zbuild-std=std,panic_abort,test', '--target', TARGET,
    ], {
      cwd: folder, note,
      env: { ...environment, RUSTC: rustc, RUSTC_BOOTSTRAP: '1', RUSTFLAGS: '-Cembed-bitcode=yes' },
      failure: "The WebAssembly target could not be built from Debian's sources: see the lines above.",
    });
    const built = join(folder, 'target', TARGET, 'release/deps');
    const ready = join(folder, 'lib');
    mkdirSync(ready);
    for (const file of readdirSync(built)) {
      if (file.endsWith('.rlib') && !file.startsWith(`lib${name}`)) cpSync(join(built, file), join(ready, file));
    }
    const goal = ask(rustc, ['--print', 'target-libdir', '--target', TARGET], { env: environment });
    const failure = `The built library could not be copied to ${goal}.`;
    await asRoot('mkdir', ['-p', goal], { failure });
    await asRoot('cp', ['-r', `${ready}/.`, goal], { failure });
    await asRoot('chmod', ['-R', 'a+rX', goal], { failure });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
