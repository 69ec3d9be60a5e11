// What `npm run coverage` counts: what the workers of the tests executed, and what the native tests did.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT, STATE } from '../paths.mjs';
import { run } from '../processes.mjs';
import { readState, writeState } from '../state.mjs';
import { Problem } from '../terminal.mjs';
import { linesOf, stretchesByFile, together } from './lines.mjs';
import { addDump, addProfile, functionsOf } from './llvm.mjs';
import { areasOf, textOf, writePages } from './report.mjs';

const FOLDER = join(STATE, 'coverage');
const NATIVE = join(FOLDER, 'native');
const COUNTED = join(FOLDER, 'worker.json');
const PROGRAMS = join(FOLDER, 'programs.json');

/** The worker as the compiler made it, with what its counters stand for: later steps leave that out. */
export const MODULE = join(FOLDER, 'celaest_core.wasm');

/** What cargo needs to build with counters. */
export const COUNTING = { RUSTC_WORKSPACE_WRAPPER: join(ROOT, 'scripts/lib/coverage/rustc.sh') };

/** How long a worker may take to say what it executed, in ms: it may be busy, or have been stopped on purpose. */
const PATIENCE = 20_000;

export class Coverage {
  #worker = new Map();

  /** Begins from nothing, or adds to what an earlier run of the same build counted. */
  constructor({ more }) {
    if (process.platform !== 'linux') throw new Problem('npm run coverage reads programs as Linux has them: run it there.');
    if (more) {
      for (const [name, counts] of readState(COUNTED) ?? []) this.#worker.set(BigInt(name), Float64Array.from(counts));
    } else {
      for (const path of [NATIVE, COUNTED, PROGRAMS]) rmSync(path, { recursive: true, force: true });
    }
    mkdirSync(NATIVE, { recursive: true });
  }

  /** Asks a worker what it executed, before it ends; one that does not answer has said nothing. */
  async take(url) {
    try {
      const response = await fetch(`${url}/coverage`, { signal: AbortSignal.timeout(PATIENCE) });
      if (response.ok) addDump(this.#worker, Buffer.from(await response.arrayBuffer()));
    } catch (error) {
      if (!['TypeError', 'TimeoutError'].includes(error.name)) throw error;
    }
  }

  /** Runs the native tests with counters; returns what they printed. */
  async testRust(note) {
    const env = { ...process.env, ...COUNTING, LLVM_PROFILE_FILE: join(NATIVE, '%m-%p.profraw') };
    const built = await run('cargo', ['test', '--workspace', '--lib', '--no-run', '--message-format=json'], { cwd: ROOT, note, env });
    const programs = built.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).executable).filter(Boolean);
    writeState(PROGRAMS, programs);
    return run('cargo', ['test', '--workspace'], { cwd: ROOT, note, env, failure: 'The Rust tests failed: see the lines above.' });
  }

  /** Writes the report; returns its text and whether the goals are reached. */
  report() {
    writeState(COUNTED, [...this.#worker].map(([name, counts]) => [String(name), [...counts]]));
    const native = new Map();
    for (const name of readdirSync(NATIVE)) addProfile(native, readFileSync(join(NATIVE, name)));
    const isOurs = (file) => file.startsWith(`${ROOT}/`) && !relative(ROOT, file).startsWith('target/');
    const ofWorker = stretchesByFile(functionsOf(readFileSync(MODULE)), this.#worker, isOurs);
    const ofTests = (readState(PROGRAMS) ?? []).map((program) => stretchesByFile(functionsOf(readFileSync(program)), native, (file) => ofWorker.has(file)));
    const files = [...ofWorker].map(([file, stretches]) => {
      const source = readFileSync(file, 'utf8').split('\n');
      const counted = ofTests.filter((program) => program.has(file)).map((program) => linesOf(source, program.get(file)));
      return { file: relative(ROOT, file), source, lines: counted.reduce(together, linesOf(source, stretches)) };
    }).toSorted((one, other) => (one.file < other.file ? -1 : 1));
    const text = textOf(files);
    writeFileSync(join(FOLDER, 'summary.txt'), text);
    writePages(join(FOLDER, 'pages'), files);
    return { text, pages: join(FOLDER, 'pages/index.html'), areas: areasOf(files) };
  }
}
