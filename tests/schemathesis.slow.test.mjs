// What schemathesis thinks of when it reads the published document, sent to every operation by each role: no 5xx,
// nothing answered that the document does not say, nothing taken that it forbids.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { startStack } from './harness/client.mjs';
import { startProvider } from './support/gotrue.mjs';
import { folderFor, pythonWith, run } from './support/programs.mjs';
import { createOrganization } from './support/world.mjs';

/** What the others may lies between these. */
const ROLES = ['super_admin', 'admin', 'client'];
const PROGRAM = 'schemathesis==4.32.5';
/** What ends the caller's own sign-in, so that everything after it would be 401. */
const LAST = ['/api/auth/logout', '/api/users/me/leave'];
const REFUSED = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429];
const CONFIGURATION = `
[checks]
negative_data_rejection.expected-statuses = ${JSON.stringify(REFUSED)}

# Each item has an answer of its own.
[[operations]]
include-name = "POST /api/licenses/batch-validate"
checks.negative_data_rejection.expected-statuses = ${JSON.stringify([200, ...REFUSED])}
`;

const provider = await startProvider();
const stack = await startStack({ vars: { SUPABASE_URL: provider.url } });
provider.vars = stack.vars;
after(async () => {
  await stack.stop();
  provider.close();
});
const folder = folderFor('schemathesis');
await pythonWith(folder, PROGRAM);
const configuration = join(folder, 'schemathesis.toml');
writeFileSync(configuration, CONFIGURATION);

describe('every operation, by', () => {
  for (const role of ROLES) {
    test(role, async () => {
      const home = await createOrganization(stack);
      await run(join(folder, 'venv', 'bin', 'schemathesis'), [
        '--config-file', configuration,
        'run', `${stack.url}/openapi.json`, '--header', `Authorization: Bearer ${await home.token(role)}`,
        '--phases', 'examples,coverage,fuzzing', '--max-examples', '4', '--seed', '7', '--continue-on-failure', '--workers', '2',
        // Ids of things that are not there, and texts that mean nothing, are refused with good reason.
        '--checks', 'all', '--exclude-checks', 'positive_data_acceptance',
        ...LAST.flatMap((path) => ['--exclude-path', path]),
      ], { cwd: folder, env: { NO_COLOR: '1' } });
    });
  }
});
