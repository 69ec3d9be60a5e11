// The build tool that is installed by cargo, in a folder named after its version.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, ROOT } from './paths.mjs';
import { run } from './processes.mjs';
import { Problem } from './terminal.mjs';

// The version that Cargo.toml pins.
const WASM_BINDGEN = { name: 'wasm-bindgen', crate: 'wasm-bindgen-cli', version: '0.2.129', minutes: 3 };

const folderOf = ({ name, version }) => join(CACHE, 'tools', `${name}-${version}`);
const programOf = (tool) => join(folderOf(tool), 'bin', tool.name);

/** Installs wasm-bindgen where it is missing; returns a few words for the terminal. */
export async function installTools(note) {
  if (existsSync(programOf(WASM_BINDGEN))) return 'already there';
  const { crate, version, minutes } = WASM_BINDGEN;
  note(`cargo install ${crate} ${version}, once for all clones, about ${minutes} minutes`);
  const args = ['install', crate, '--version', version, '--root', folderOf(WASM_BINDGEN)];
  // Outside the project: its folder may pin or configure cargo differently.
  const options = { cwd: process.env.HOME ?? ROOT, note };
  try {
    await run('cargo', [...args, '--locked'], options);
  } catch (error) {
    if (!error.tail?.some((line) => /failed to select a version|not found in registry|no matching package/.test(line))) {
      throw new Problem(`${error.message}\n\n${crate} ${version} could not be installed: check the network, then run the same command again.`);
    }
    note('a version of its lock file is not in the registry: trying the ones that are');
    await run('cargo', args, { ...options, failure: `${crate} ${version} could not be installed: see the lines above.` });
  }
  return 'installed';
}

/** The programs that make the bundle of what cargo built. */
export function toolchain() {
  const npm = (name) => join(ROOT, 'node_modules/.bin', name);
  return {
    wasmBindgen: programOf(WASM_BINDGEN),
    wasmOpt: npm('wasm-opt'),
    esbuild: npm('esbuild'),
    version: WASM_BINDGEN.version,
  };
}
