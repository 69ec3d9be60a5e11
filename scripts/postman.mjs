// npm run postman: writes a Postman environment for the worker of `npm start` to `.celaest/`, with the secret that
// its tokens are signed with. The collection itself is made by `npm run openapi`.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDevVars } from './lib/dev-vars.mjs';
import { STATE } from './lib/paths.mjs';
import { environmentOf } from './lib/postman.mjs';

const SUPER_ADMIN = '20000000-0000-4000-8000-000000000001';

const vars = ensureDevVars();
const path = join(STATE, 'postman_environment.json');
mkdirSync(STATE, { recursive: true });
const environment = environmentOf('CELAEST Core, npm start', {
  base_url: `http://127.0.0.1:${process.env.PORT ?? 8787}`, supabase_url: vars.SUPABASE_URL,
  local_jwt_secret: vars.SUPABASE_JWT_SECRET, local_user_id: SUPER_ADMIN,
});
writeFileSync(path, `${JSON.stringify(environment, null, 2)}\n`, { mode: 0o600 });
process.stdout.write(`written: ${path}\nImport it with postman/celaest.postman_collection.json.\n`);
