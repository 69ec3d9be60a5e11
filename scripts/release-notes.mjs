// node scripts/release-notes.mjs <version>: what CHANGELOG.md says of a version, for its release. Fails when it says
// nothing, or when the version is not the one of package.json and Cargo.toml.

import { readFileSync } from 'node:fs';
import { notesOf } from './lib/release-notes.mjs';

const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

try {
  const versions = { 'package.json': JSON.parse(read('package.json')).version, 'Cargo.toml': read('Cargo.toml').match(/^version = "(.+)"$/m)[1] };
  process.stdout.write(`${notesOf(read('CHANGELOG.md'), process.argv[2] ?? '', versions)}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
