// A change of a caller whose worker is killed while it commits: whoever was removed is not let in again.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, good, refused } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization, createUser, rowOf, signedIn, withApiKey } from './support/world.mjs';

const LIST = ['GET', '/api/licenses'];

let stack;
let home;

before(async () => {
  stack = await startStack({ vars: { SNAPSHOT_TTL_SECONDS: '3600' } });
  home = await createOrganization(stack);
  // The commit of a removal takes its time.
  await stack.pg.query(`
    CREATE FUNCTION wait_in_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER wait_in_commit AFTER UPDATE ON users_profile DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
      WHEN (NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL) EXECUTE FUNCTION wait_in_commit()`);
});

after(() => stack?.stop());

const isCommitting = async () => (await stack.pg.query(
  "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")).rowCount === 1;

test('killed in the middle of the commit: token and key are refused once it is committed', async () => {
  const id = await createUser(stack, home.id, 'developer');
  const calls = [await signedIn(stack, id), await withApiKey(stack, id, home.id)];
  for (const call of calls) {
    good(await call(...LIST));
    good(await call(...LIST));
  }
  home.as.admin('DELETE', '/api/users/{id}', { id }).catch(() => {});
  await eventually(isCommitting);
  await stack.restart({ kill: 'SIGKILL' });
  await eventually(async () => (await rowOf(stack, 'users_profile', id)).deleted_at);
  const [byToken, byKey] = await Promise.all(calls.map((call) => call(...LIST)));
  refused(byToken, 401, 'PROFILE_NOT_FOUND');
  refused(byKey, 401, 'INVALID_API_KEY');
});

test('however many keys a person has had: the sign-in is told first', async () => {
  const id = await createUser(stack, home.id, 'developer');
  const call = await signedIn(stack, id);
  await stack.pg.query(
    `INSERT INTO user_api_keys (user_id, organization_id, name, key_hash, key_prefix, scopes, expires_at, last_used_at)
     SELECT $1, $2, 'k' || i, encode(sha256((random()::text || i)::bytea), 'hex'), 'celk_' || lpad(i::text, 8, 'x'), '{*}',
       now() - interval '1 day', now() FROM generate_series(1, 1200) AS i`, [id, home.id]);
  const key = await withApiKey(stack, id, home.id);
  for (const one of [call, key]) good(await one(...LIST));
  good(await home.as.admin('DELETE', '/api/users/{id}', { id }), 204);
  for (const one of [call, key]) assert.equal((await one(...LIST)).status, 401);
});
