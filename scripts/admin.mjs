// npm run admin:create -- --email <address> --organization <name>: the first super administrator, with the
// organization they are at home in and a plan if there is none. Running it again changes nothing, but sends
// out another link to somebody who has not come yet.
//
// --subject <id>: the id of an account at the sign-in provider, which needs no invitation then. --slug <name>:
// the organization's name in links. The database is DATABASE_URL, as its owner, or the local one.

import { bootstrap } from './lib/bootstrap.mjs';
import { Problem } from './lib/terminal.mjs';

const OPTIONS = ['email', 'organization', 'slug', 'subject'];

/** The options, by name. */
function read(words) {
  const options = {};
  for (let at = 0; at < words.length; at += 2) {
    const name = words[at].replace(/^--/, '');
    if (!words[at].startsWith('--') || !OPTIONS.includes(name) || !words[at + 1]) throw new Problem(USAGE);
    options[name] = words[at + 1];
  }
  if (!options.email || !options.organization) throw new Problem(USAGE);
  if (options.subject && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(options.subject)) {
    throw new Problem('--subject is the UUID of an account at the sign-in provider.');
  }
  return options;
}

const USAGE = 'usage: npm run admin:create -- --email <address> --organization <name> [--slug <name>] [--subject <uuid>]';

/** What to do now, in a few lines. */
function words({ outcome, email, organization, plan, token }, dashboard) {
  const lines = [`${email} in ${organization.name} (${organization.slug}); licenses can be made on the plan "${plan}".`];
  if (outcome === 'there') lines.push('The super administrator was there already: nothing changed.');
  if (outcome === 'made') lines.push('The account at the sign-in provider is a super administrator from now on.');
  if (outcome === 'invited') {
    lines.push(
      'Within seven days, sign in at the provider with this address, confirmed, and accept:',
      dashboard
        ? `  ${dashboard.replace(/\/+$/, '')}/invitation?${new URLSearchParams({ token, email })}`
        : `  POST /api/auth/accept-invitation {"token":"${token}"}, with the provider's access token`,
    );
  }
  return lines.join('\n');
}

await bootstrap(async () => {
  const { createAdmin } = await import('./lib/admin.mjs');
  const options = read(process.argv.slice(2));
  if (process.env.DATABASE_URL) {
    process.stdout.write(`${words(await createAdmin(process.env.DATABASE_URL, options), process.env.DASHBOARD_URL)}\n`);
    return;
  }
  const { migrateLocal, startLocalServer } = await import('./lib/local-database.mjs');
  const { ensureDevVars } = await import('./lib/dev-vars.mjs');
  const server = await startLocalServer({ share: true });
  try {
    await migrateLocal(server, () => {});
    const made = await createAdmin(server.ownerUrl, options);
    process.stdout.write(`${words(made, ensureDevVars().DASHBOARD_URL)}\n`);
  } finally {
    await server.stop();
  }
});
