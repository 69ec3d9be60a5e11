// The API's description as the code has it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from './cargo.mjs';
import { ROOT } from './paths.mjs';
import { run } from './processes.mjs';
import { Problem } from './terminal.mjs';

/** Where the published description is. */
export const FILE = join(ROOT, 'public/openapi.json');

/** The description, and whether the published one is the same. */
export async function describeApi(note) {
  const failure = 'The description could not be generated: see the lines above.';
  const program = await buildProgram('example', 'openapi', { note, failure });
  const document = await run(program, [], { cwd: ROOT, note, failure });
  JSON.parse(document);
  return { document, isPublished: existsSync(FILE) && readFileSync(FILE, 'utf8') === document };
}

/** Throws unless the published description is what the code says. */
export async function checkDescription(note) {
  const { isPublished } = await describeApi(note);
  if (!isPublished) throw new Problem('public/openapi.json is not what the code says: run "npm run openapi" and commit the file.');
}
