// npm run openapi: writes the API's description, generated from the code, to
// public/openapi.json. With --check it only compares and fails when they differ.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap } from './lib/bootstrap.mjs';
import { ROOT } from './lib/paths.mjs';
import { run } from './lib/processes.mjs';
import { Problem } from './lib/terminal.mjs';

const FILE = join(ROOT, 'public/openapi.json');

await bootstrap(async () => {
  const document = await run('cargo', ['run', '--quiet', '--example', 'openapi'], {
    cwd: ROOT,
    note: (text) => process.stdout.write(`${text}\n`),
    failure: 'The description could not be generated: see the lines above.',
  });
  JSON.parse(document);
  const same = existsSync(FILE) && readFileSync(FILE, 'utf8') === document;
  if (process.argv.includes('--check')) {
    if (!same) throw new Problem('public/openapi.json is not what the code says: run "npm run openapi" and commit the file.');
    process.stdout.write('public/openapi.json is up to date\n');
  } else if (!same) {
    writeFileSync(FILE, document);
    process.stdout.write('public/openapi.json written\n');
  } else {
    process.stdout.write('public/openapi.json is unchanged\n');
  }
});
