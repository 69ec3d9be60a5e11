// The two build tools that come from crates.io, each in a folder named after its version.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, ROOT } from './paths.mjs';
import { run } from './processes.mjs';
import { Problem } from './terminal.mjs';

// wasm-bindgen has to be the version that Cargo.toml pins.
const TOOLS = [
  // It only calls the other tools: unoptimized it is as fast, and built a minute sooner.
  { name: 'worker-build', crate: 'worker-build', version: '0.8.7', minutes: 4, flags: ['--debug'] },
  { name: 'wasm-bindgen', crate: 'wasm-bindgen-cli', version: '0.2.129', minutes: 3, flags: [] },
];

const folderOf = ({ name, version }) => join(CACHE, 'tools', `${name}-${version}`);
const programOf = (tool) => join(folderOf(tool), 'bin', tool.name);

/** Installs the build tools that are missing; returns a few words for the terminal. */
export async function installTools(note) {
  const missing = TOOLS.filter((tool) => !existsSync(programOf(tool)));
  for (const tool of missing) {
    const { crate, version, minutes, flags } = tool;
    note(`cargo install ${crate} ${version}, once for all clones, about ${minutes} minutes`);
    const args = ['install', crate, '--version', version, '--root', folderOf(tool), ...flags];
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
  }
  return missing.length ? `${missing.map((tool) => tool.name).join(' and ')} installed` : 'already there';
}

/** Where worker-build is, and what it must be told to use instead of downloading. */
export function toolchain() {
  const [workerBuild, wasmBindgen] = TOOLS.map(programOf);
  const npm = (name) => join(ROOT, 'node_modules/.bin', name);
  return {
    workerBuild,
    env: { WASM_BINDGEN_BIN: wasmBindgen, WASM_OPT_BIN: npm('wasm-opt'), ESBUILD_BIN: npm('esbuild') },
    versions: TOOLS.map((tool) => `${tool.name} ${tool.version}`),
  };
}
