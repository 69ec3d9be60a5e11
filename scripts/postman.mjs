// npm run postman: writes the Postman collection and an empty environment to `postman/`, from
// `public/openapi.json`; with `-- --local`, an environment for the worker of `npm start` to `.celaest/`.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDevVars } from './lib/dev-vars.mjs';
import { ROOT, STATE } from './lib/paths.mjs';
import { collectionOf, environmentOf } from './lib/postman.mjs';

const SUPER_ADMIN = '20000000-0000-4000-8000-000000000001';

function write(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
  process.stdout.write(`written: ${path}\n`);
}

if (process.argv.includes('--local')) {
  const vars = ensureDevVars();
  mkdirSync(STATE, { recursive: true });
  write(join(STATE, 'postman_environment.json'), environmentOf('CELAEST Core, npm start', {
    base_url: `http://127.0.0.1:${process.env.PORT ?? 8787}`, supabase_url: vars.SUPABASE_URL,
    local_jwt_secret: vars.SUPABASE_JWT_SECRET, local_user_id: SUPER_ADMIN,
  }));
} else {
  const document = JSON.parse(readFileSync(join(ROOT, 'public/openapi.json'), 'utf8'));
  mkdirSync(join(ROOT, 'postman'), { recursive: true });
  write(join(ROOT, 'postman/celaest.postman_collection.json'), collectionOf(document));
  write(join(ROOT, 'postman/celaest.postman_environment.json'), environmentOf('CELAEST Core'));
}
