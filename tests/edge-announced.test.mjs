// Between COMMIT and the notice to the license's object: whoever dies there, nobody is let in by what a
// committed change took away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Edge, address, eventuallyHolds, pause } from './support/edge.mjs';

// A COMMIT that takes this long leaves time to die in the middle of it.
const COMMIT_S = 3;

let edge;
before(async () => {
  edge = await Edge.open({ ownServer: true });
  await edge.rows(`
    CREATE FUNCTION test_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.notes = 'refused' THEN RAISE EXCEPTION 'refused at the end'; END IF;
      PERFORM pg_sleep(${COMMIT_S});
      RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER test_at_commit AFTER UPDATE ON licenses DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.notes IN ('slow', 'refused')) EXECUTE FUNCTION test_at_commit()`);
});
after(() => edge?.close());

/** A warm license whose changes take long to commit, or are refused then. */
async function warm(notes) {
  const license = await edge.license({ notes });
  const ip = address();
  assert.equal(await edge.code(license.key, { ip }), 'VALID');
  const validate = () => edge.validate(license.key, { ip });
  assert.deepEqual((await validate()).counts, { db: 0, do: 1 });
  return { ...license, validate };
}

/** Begins to suspend, and waits until COMMIT is under way; the answer may never come. */
async function beginsToSuspend(license) {
  const revoked = edge.tryApi('POST', `${license.path}/revoke`, { reason: 'test' }).catch(() => null);
  await eventuallyHolds(async () => {
    const { n } = await edge.row("SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    assert.equal(n, 1);
  }, COMMIT_S * 900);
  return revoked;
}

const committed = (license) => eventuallyHolds(async () => {
  assert.equal((await edge.row('SELECT status FROM licenses WHERE id = $1', [license.id])).status, 'suspended');
}, 20_000);

test('while a change is being committed, validations read PostgreSQL, and keep nothing of it', async () => {
  const license = await warm('slow');
  await edge.api('GET', license.path);
  const revoking = beginsToSuspend(license);
  await pause(1000);
  for (let round = 0; round < 2; round += 1) {
    const answer = await license.validate();
    assert.equal(answer.body.data.code, 'VALID', 'nothing is committed yet');
    assert.deepEqual(answer.counts, { db: 1, do: 2 });
  }
  const revoked = await revoking;
  assert.equal(revoked.status, 200);
  // The caller, the announcement and the outcome.
  assert.equal(revoked.counts.do, 3);
  assert.equal((await license.validate()).body.data.code, 'SUSPENDED');
  assert.deepEqual((await license.validate()).counts, { db: 0, do: 1 });
});

test('a worker that is killed in COMMIT leaves no stale answer behind', async () => {
  const license = await warm('slow');
  beginsToSuspend(license);
  await pause(1000);
  await edge.stack.restart({ kill: 'SIGKILL' });
  await committed(license);
  const first = await license.validate();
  assert.equal(first.body.data.code, 'SUSPENDED');
  const next = await license.validate();
  assert.equal(next.body.data.code, 'SUSPENDED');
  assert.deepEqual(next.counts, { db: 1, do: 2 }, 'nobody told the outcome');
});

test('nor does it with PostgreSQL away: there is no grace for what may have changed', async () => {
  const [license, other] = [await warm('slow'), await warm('steady')];
  beginsToSuspend(license);
  await pause(1000);
  await edge.stack.restart({ kill: 'SIGKILL' });
  await committed(license);
  await edge.stack.stopPostgres();
  try {
    const answer = await license.validate();
    assert.deepEqual([answer.status, answer.body.error?.code], [503, 'SERVICE_UNAVAILABLE']);
    assert.equal((await other.validate()).body.data?.code, 'VALID');
  } finally {
    await edge.stack.startPostgres();
  }
  await eventuallyHolds(async () => assert.equal((await license.validate()).body.data?.code, 'SUSPENDED'), 30_000);
});

test('a change that PostgreSQL refuses at the end is called off', async () => {
  const license = await warm('refused');
  const refused = await edge.tryApi('POST', `${license.path}/revoke`, {});
  assert.equal(refused.status, 500);
  await eventuallyHolds(async () => {
    const answer = await license.validate();
    assert.equal(answer.body.data.code, 'VALID');
    assert.deepEqual(answer.counts, { db: 0, do: 1 });
  });
});

test('a change whose end nobody knows is looked up for every validation', async () => {
  const license = await warm('slow');
  const revoking = beginsToSuspend(license);
  await pause(1000);
  await edge.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  assert.equal((await revoking).status, 503);
  for (let round = 0; round < 2; round += 1) {
    const answer = await license.validate();
    assert.equal(answer.body.data.code, 'VALID', 'it was rolled back');
    assert.deepEqual(answer.counts, { db: 1, do: 2 });
  }
});

test('a bind that comes to nothing gives its slot back at once', async () => {
  const license = await edge.license({ custom_limits: { max_ips: 1 }, notes: 'steady' });
  const [wanted, other] = [address(), address()];
  await edge.rows(`CREATE OR REPLACE FUNCTION test_no_binding() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no'; END $$`);
  await edge.rows(`CREATE TRIGGER test_no_binding BEFORE INSERT ON license_ip_bindings FOR EACH ROW
    WHEN (NEW.source = 'manual') EXECUTE FUNCTION test_no_binding()`);
  try {
    // The slot is reserved, and then the row is refused.
    const refused = await edge.tryApi('POST', `${license.path}/bind-ip`, { ip_address: wanted });
    assert.equal(refused.status, 500);
    await eventuallyHolds(async () => assert.equal(await edge.code(license.key, { ip: other }), 'VALID'), 5_000);
  } finally {
    await edge.rows('DROP TRIGGER test_no_binding ON license_ip_bindings');
  }
});
