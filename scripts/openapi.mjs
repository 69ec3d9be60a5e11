// npm run openapi: writes the API's description, generated from the code, to
// public/openapi.json, and the Postman collection made of it. With --check it only compares and fails when they differ. With --examples it first
// takes the examples from a walk over the routes that was recorded:
//
//   CELAEST_EXAMPLES=$PWD/.celaest/examples npm test -- --only routes

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap } from './lib/bootstrap.mjs';
import { ROOT, STATE } from './lib/paths.mjs';
import { FILE, checkDescription, describeApi } from './lib/openapi.mjs';
import { writePostman } from './lib/postman.mjs';

const print = (text) => process.stdout.write(`${text}\n`);

/** Puts the recorded examples where the document takes them from, in the order of their names. */
function takeExamples() {
  const folder = join(STATE, 'examples');
  const names = readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
  const examples = names.map((name) => [name.replace('.json', ''), JSON.parse(readFileSync(join(folder, name), 'utf8'))]);
  writeFileSync(join(ROOT, 'src/http/openapi/examples.json'), `${JSON.stringify(Object.fromEntries(examples), null, 1)}\n`);
  print(`${names.length} examples taken`);
}

await bootstrap(async () => {
  if (process.argv.includes('--examples')) takeExamples();
  if (process.argv.includes('--check')) {
    await checkDescription(print);
    print('public/openapi.json is up to date');
    return;
  }
  const { document, isPublished } = await describeApi(print);
  if (!isPublished) writeFileSync(FILE, document);
  print(`public/openapi.json ${isPublished ? 'is unchanged' : 'written'}`);
  writePostman(JSON.parse(document));
});
