// An organization that has something in every table.

import { readFileSync } from 'node:fs';
import { createOrganization, insertLicense } from './world.mjs';

const FIXTURES = readFileSync(new URL('../schema/fixtures.sql', import.meta.url), 'utf8');

/** Makes an organization with a row in every table that can hold one of its own. */
export async function furnishedOrganization(stack) {
  const made = await createOrganization(stack);
  await insertLicense(stack, made.id, { owner_id: made.users.client });
  await insertLicense(stack, made.id, { owner_id: made.users.admin });
  await stack.pg.query(FIXTURES.replaceAll('$ORG', `'${made.id}'`).replaceAll('$USER', `'${made.users.admin}'`));
  return made;
}
