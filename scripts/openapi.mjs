// npm run openapi: writes the API's description, generated from the code, to
// public/openapi.json. With --check it only compares and fails when they differ.

import { writeFileSync } from 'node:fs';
import { bootstrap } from './lib/bootstrap.mjs';
import { FILE, checkDescription, describeApi } from './lib/openapi.mjs';

const print = (text) => process.stdout.write(`${text}\n`);

await bootstrap(async () => {
  if (process.argv.includes('--check')) {
    await checkDescription(print);
    print('public/openapi.json is up to date');
    return;
  }
  const { document, isPublished } = await describeApi(print);
  if (!isPublished) writeFileSync(FILE, document);
  print(`public/openapi.json ${isPublished ? 'is unchanged' : 'written'}`);
});
