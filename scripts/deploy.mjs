// npm run deploy [-- --check] [-- --migrate]: prints what has to exist (docs/deploy.md), looks whether it
// does, also whether the database of DATABASE_URL has the schema of this worker, builds the worker and
// deploys it. --check only looks; --migrate applies what is missing first.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, onStop } from './lib/bootstrap.mjs';
import { ROOT } from './lib/paths.mjs';
import { ask, endAll } from './lib/processes.mjs';
import { Problem, printError, steps } from './lib/terminal.mjs';

const SECRETS = ['LICENSE_KEY_SECRET', 'API_KEY_PEPPER', 'ENCRYPTION_KEY', 'AUDIT_SIGNING_KEY', 'SUPABASE_ANON_KEY'];

/** Every queue that wrangler.toml names. */
function queues() {
  const text = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');
  return [...new Set([...text.matchAll(/^(?:queue|dead_letter_queue) = "([\w-]+)"/gm)].map(([, name]) => name))];
}

/** What wrangler.toml still has from the repository. */
function placeholders() {
  const text = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');
  return [
    [/id = "0{32}"/, 'the id of the Hyperdrive configuration'],
    [/your-project\.supabase\.co/, 'SUPABASE_URL'],
    [/your-dashboard\.example/, 'CORS_ORIGINS and DASHBOARD_URL'],
  ].filter(([pattern]) => pattern.test(text)).map(([, name]) => name);
}

await bootstrap(async () => {
  const { prepareBuild } = await import('./lib/build.mjs');
  const { runWrangler } = await import('./lib/wrangler.mjs');
  const { schemaForDeployment } = await import('./lib/schema.mjs');
  onStop(() => endAll().catch(printError));
  process.stdout.write(`${readFileSync(join(ROOT, 'docs/deploy.md'), 'utf8')}\n`);

  const onlyLooks = process.argv.includes('--check');
  const open = placeholders();
  if (open.length) throw new Problem(`wrangler.toml still has placeholders: ${open.join(', ')}. Put yours in and run npm run deploy again.`);

  const wrangler = (...args) => ask(process.execPath, [join(ROOT, 'node_modules/wrangler/bin/wrangler.js'), ...args], {
    cwd: ROOT, env: { ...process.env, WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1', CI: 'true' },
  });
  const step = steps(onlyLooks ? 5 : 7);
  const hyperdrive = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8').match(/binding = "HYPERDRIVE"\s+id = "(\w+)"/)?.[1];
  await step('account', () => {
    const answer = wrangler('whoami');
    if (!answer || /not authenticated/i.test(answer)) {
      throw new Problem('wrangler has no access to an account: run "npx wrangler login", or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID.');
    }
    return 'signed in';
  });
  await step('Hyperdrive configuration', () => {
    const answer = wrangler('hyperdrive', 'get', hyperdrive);
    if (!answer) throw new Problem(`Hyperdrive configuration ${hyperdrive} is not in this account: create it as described above.`);
    if (!/"disabled":\s*true/.test(answer)) {
      throw new Problem(`Hyperdrive configuration ${hyperdrive} caches: run "npx wrangler hyperdrive update ${hyperdrive} --caching-disabled".`);
    }
    return 'there, without a cache';
  });
  await step('queues', () => {
    const missing = queues().filter((name) => !wrangler('queues', 'info', name));
    if (missing.length) throw new Problem(`Queues are missing: ${missing.join(', ')}; create them as described above.`);
    return 'all there';
  });
  await step('secrets', () => {
    const answer = wrangler('secret', 'list');
    // Before the first deployment there is no worker to hold secrets.
    if (answer === null) return 'no worker yet: set them before its first request, as described above';
    const missing = SECRETS.filter((name) => !answer.includes(`"${name}"`));
    if (missing.length) throw new Problem(`Secrets are missing: ${missing.join(', ')}; set them as described above.`);
    return 'all there';
  });
  // Last of what is looked at: with --migrate it changes something, and then nothing else may be missing.
  await step('schema of DATABASE_URL', (note) => (
    schemaForDeployment(process.env.DATABASE_URL, { apply: process.argv.includes('--migrate') && !onlyLooks, note })));
  if (onlyLooks) return 0;
  await step('build of the worker', (note) => prepareBuild(note));
  let code;
  await step('wrangler deploy', async (note) => {
    code = await runWrangler(['deploy'], note);
    if (code) throw new Problem('wrangler could not deploy: see the lines above.');
    return 'deployed';
  });
  return code;
});
