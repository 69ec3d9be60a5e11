// wrangler's own commands: what has to do with an account.

import { join } from 'node:path';
import { ROOT } from './paths.mjs';
import { Service } from './processes.mjs';

const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');

/** Runs a command of wrangler visibly and returns its exit code. */
export async function runWrangler(args, onLine) {
  const service = await Service.start(process.execPath, ['--no-warnings', WRANGLER, ...args], {
    cwd: ROOT, onLine, env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' },
  });
  return service.exit;
}
