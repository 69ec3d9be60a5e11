import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startStack } from './harness/client.mjs';
import { createOrganization, insertLicense } from './support/world.mjs';
test('hold', { timeout: 7_200_000 }, async () => {
  const stack = await startStack({ vars: { RATE_LIMIT_PER_MIN: '1000000' } });
  const home = await createOrganization(stack);
  await stack.pg.query("INSERT INTO system_config (key, value) VALUES ('rate_limit.per_min', '1000000') ON CONFLICT DO NOTHING").catch(() => {});
  const license = await insertLicense(stack, home.id, { owner_id: home.users.client });
  const tokens = {};
  for (const role of Object.keys(home.users)) tokens[role] = await home.token(role);
  writeFileSync('/tmp/hold.json', JSON.stringify({ url: stack.url, id: home.id, users: home.users, tokens, license, owner: stack.ownerUrl, log: stack.log, vars: stack.vars }));
  while (!existsSync('/tmp/hold.stop')) await setTimeout(1000);
  await stack.stop();
});
