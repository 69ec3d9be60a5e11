// The proof that the audit log is whole: sealing while many write and while jobs die, and every way of
// tampering with it, found and named.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { eventually, good, refused } from './support/api.mjs';
import { SEALS, sealing } from './support/sealing.mjs';
import { digestOf, hashes, isSigned, sealed, seals } from './support/seals.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization, insert, signedIn } from './support/world.mjs';

let stack;
let home;
let root;
let organization;
let write;
let seal;
let step;
let verified;
let isWhole;

before(async () => {
  stack = await startStack();
  home = await createOrganization(stack, { roles: ['super_admin', 'admin', 'manager'] });
  root = home.as.super_admin;
  ({ organization, write, seal, step, verified, isWhole } = sealing(stack, root));
});
after(async () => stack?.stop());

describe('seals', () => {
  test('are what the documentation says, for anybody with the public key', async () => {
    const id = await organization(1_500);
    await seal(id);
    const made = await seals(stack.pg, id);
    assert.deepEqual(made.map((one) => Number(one.row_count)), [1000, 500]);
    const { public_key: publicKey, key_id: keyId } = await step(id);
    let previous = null;
    let last = 0;
    for (const one of made) {
      assert.equal(one.previous_digest, previous);
      assert.equal(one.key_id, keyId);
      assert.deepEqual(one.row_hashes.split('\n'), await hashes(stack.pg, id, last, one.last_sequence));
      assert.equal(one.digest, digestOf(one));
      assert.ok(isSigned(one, publicKey));
      [previous, last] = [one.digest, one.last_sequence];
    }
    assert.equal((await isWhole(id)).seals, 2);
    await stack.triggerCron(SEALS);
    assert.deepEqual(await seals(stack.pg, id), made, 'nothing new, no seal');
  });

  test('cover what the API writes, and what belongs to no organization', async () => {
    await insert(stack, 'audit_logs', { action: 'update', event: 'settings.changed', resource_type: 'setting' });
    await seal(home.id, null);
    const rows = async (id) => (await stack.pg.query(
      'SELECT count(*)::int FROM audit_logs WHERE organization_id IS NOT DISTINCT FROM $1', [id])).rows[0].count;
    for (const id of [home.id, null]) {
      const result = await verified(id);
      assert.deepEqual([result.intact, result.complete, result.rows], [true, true, await rows(id)]);
      assert.ok(result.rows > 0);
    }
  });

  test('end early where rows are large', async () => {
    const id = await organization();
    for (let index = 0; index < 5; index += 1) {
      await insert(stack, 'audit_logs', {
        organization_id: id, action: 'update', event: 'license.updated', resource_type: 'license', description: 'x'.repeat(900_000),
      });
    }
    await insert(stack, 'audit_logs', {
      organization_id: id, action: 'update', event: 'license.updated', resource_type: 'license', description: 'x'.repeat(3_000_000),
    });
    await seal(id);
    assert.deepEqual((await seals(stack.pg, id)).map((one) => Number(one.row_count)), [2, 2, 1, 1]);
    await isWhole(id);
  });

  test('show the last verified row, what waits, and go on from there', async () => {
    const id = await organization(3);
    assert.deepEqual(
      (({ intact, complete, verified_to: to, unsealed, seals: count }) => [intact, complete, to, unsealed, count])(await step(id)),
      [true, true, null, 3, 0],
    );
    await seal(id);
    await write(id, 2);
    await seal(id);
    await write(id, 1);
    const [first, second] = await seals(stack.pg, id);
    const whole = await step(id);
    assert.deepEqual([whole.verified_to, whole.unsealed, whole.rows], [Number(second.last_sequence), 1, 5]);
    for (const after of [first.last_sequence, Number(second.last_sequence) - 1]) {
      const rest = await step(id, after);
      assert.deepEqual([rest.intact, rest.complete, rest.seals, rest.rows], [true, true, 1, 2]);
    }
    const past = await step(id, Number(second.last_sequence) + 1_000);
    assert.deepEqual([past.intact, past.complete, past.seals, past.verified_to], [true, true, 0, Number(second.last_sequence)]);
  });
});

describe('sealing', () => {
  test('while many write at once and commit out of order, with two jobs at a time', async () => {
    const ids = [await organization(), await organization()];
    const writers = await Promise.all(Array.from({ length: 8 }, async () => {
      const client = new pg.Client({ connectionString: stack.pgApp });
      await client.connect();
      return client;
    }));
    let writing = true;
    const work = writers.map(async (client, index) => {
      for (let round = 0; round < 60; round += 1) {
        await client.query('BEGIN');
        await client.query("SELECT set_config('celaest.access', 'system', true)");
        await write(ids[(index + round) % 2], 1 + (round % 4), client);
        await client.query('SELECT pg_sleep($1)', [((index * 7 + round * 3) % 10) / 200]);
        await client.query(round % 7 === 3 ? 'ROLLBACK' : 'COMMIT');
      }
    });
    const jobs = (async () => {
      while (writing) await Promise.all([stack.triggerCron(SEALS), stack.triggerCron(SEALS)]);
    })();
    await Promise.all(work);
    writing = false;
    await jobs;
    await Promise.all(writers.map((client) => client.end()));
    await seal(...ids);
    for (const id of ids) {
      const made = await seals(stack.pg, id);
      assert.ok(made.length > 3, `${made.length} seals`);
      await isWhole(id);
    }
  });

  test('is killed in the middle and goes on; verifying goes by steps', async () => {
    const id = await organization(102_500);
    const job = stack.triggerCron(SEALS).catch(() => {});
    const before = await eventually(async () => {
      const made = await seals(stack.pg, id);
      return made.length > 2 && made;
    }, 60_000, 5);
    await stack.restart({ kill: 'SIGKILL' });
    await job;
    home.as.super_admin = await signedIn(stack, home.users.super_admin);
    root = home.as.super_admin;
    const left = await seals(stack.pg, id);
    assert.ok(left.length >= before.length && left.length < 103, `killed after ${left.length} seals`);
    const half = await verified(id);
    assert.ok(half.intact && half.complete && half.unsealed > 0);
    await seal(id);
    const result = await isWhole(id);
    assert.ok(result.seals >= 103);
    assert.equal(result.calls, Math.ceil((result.seals + 1) / 100));
    assert.deepEqual((await seals(stack.pg, id)).slice(0, left.length), left);
  });

  test('makes good what a job wrote and did not tell', async () => {
    const id = await organization(4);
    await seal(id);
    await write(id, 3);
    // The job that died between the two, by another hand.
    const [first] = await seals(stack.pg, id);
    const lines = await hashes(stack.pg, id, first.last_sequence);
    const { at, ...second } = sealed(stack.vars.AUDIT_SIGNING_KEY, id, first, lines, '2026-11-21T10:00:00.123456Z');
    await insert(stack, 'audit_seals', { ...second, sealed_at: at });
    await isWhole(id);
    await write(id, 2);
    await seal(id);
    assert.equal((await isWhole(id)).seals, 3);
    await stack.pg.query('DELETE FROM audit_seals WHERE organization_id = $1 AND first_sequence > $2', [id, second.last_sequence]);
    assert.equal((await verified(id)).break.kind, 'cut_off');
  });

  test('waits for a slow writer, and seals its rows with the next run', async () => {
    const id = await organization(1);
    const slow = new pg.Client({ connectionString: stack.pgApp });
    await slow.connect();
    await slow.query('BEGIN');
    await slow.query("SELECT set_config('celaest.access', 'system', true)");
    await write(id, 2, slow);
    await write(id, 3);
    await stack.triggerCron(SEALS);
    assert.deepEqual(await seals(stack.pg, id), []);
    await slow.query('COMMIT');
    await slow.end();
    await seal(id);
    assert.deepEqual((await seals(stack.pg, id)).map((one) => Number(one.row_count)), [6]);
    await isWhole(id);
  });

  test('and exporting wait for nobody who writes to another log', async () => {
    const [id, others] = [await organization(2), await organization(2)];
    const slow = new pg.Client({ connectionString: stack.pgApp });
    await slow.connect();
    await slow.query('BEGIN');
    await slow.query("SELECT set_config('celaest.access', 'system', true)");
    await write(others, 1, slow);
    await seal(id);
    await isWhole(id);
    const query = { organization_id: id };
    assert.equal((await root('GET', '/api/audit-logs/export', { query })).status, 200);
    refused(await root('GET', '/api/audit-logs/export', { query: { organization_id: others } }), 503, 'SERVICE_UNAVAILABLE');
    assert.deepEqual(await seals(stack.pg, others), []);
    await slow.query('COMMIT');
    await slow.end();
    await seal(others);
    await isWhole(others);
  });

  test('goes on with the others when the object of one does not answer', async () => {
    const heads = join(dirname(dirname(stack.log)), `worker-${stack.id}`, 'objects');
    const stored = () => readdirSync(heads, { recursive: true }).filter((name) => name.includes('SealHeadObject') && name.includes('.sqlite'));
    const [lost, other] = [await organization(), await organization()].sort();
    const before = new Set(stored());
    await write(lost, 2);
    await seal(lost);
    const files = stored().filter((name) => !before.has(name)).map((name) => join(heads, name));
    assert.ok(files.length > 0);
    const contents = files.map((file) => readFileSync(file));
    const restart = async (change) => {
      await stack.restart({ kill: 'SIGKILL' });
      files.forEach(change);
      await stack.restart({ kill: 'SIGKILL' });
      root = await signedIn(stack, home.users.super_admin);
    };
    await restart((file) => (file.endsWith('.sqlite') ? writeFileSync(file, 'not a database'.repeat(1000)) : rmSync(file, { force: true })));
    await write(lost, 1);
    await write(other, 1);
    await stack.triggerCron(SEALS);
    assert.deepEqual([(await seals(stack.pg, lost)).length, (await seals(stack.pg, other)).length], [1, 1]);
    await isWhole(other);
    // It answers again.
    await restart((file, place) => writeFileSync(file, contents[place]));
    await seal(lost);
    assert.equal((await isWhole(lost)).seals, 2);
  });

  test('goes on with the others when PostgreSQL takes too long for one, and says so', async () => {
    const [held, other] = [await organization(), await organization()].sort();
    await write(held, 1);
    await write(other, 1);
    // Somebody makes the same seal, and does not end.
    const lines = await hashes(stack.pg, held, 0);
    const { at, ...made } = sealed(stack.vars.AUDIT_SIGNING_KEY, held, null, lines, '2026-11-21T10:00:00.123456Z');
    const client = await stack.pg.connect();
    await client.query('BEGIN');
    await insert({ pg: client }, 'audit_seals', { ...made, sealed_at: at });
    const failures = async () => (await stack.pg.query("SELECT coalesce(max(failures), 0)::int AS count FROM job_runs WHERE name = 'seals'")).rows[0].count;
    const before = await failures();
    await stack.triggerCron(SEALS);
    const after = await failures();
    await client.query('ROLLBACK');
    client.release();
    assert.deepEqual([(await seals(stack.pg, held)).length, (await seals(stack.pg, other)).length], [0, 1]);
    assert.equal(after, before + 1);
    await seal(held);
    await isWhole(held);
  });

  test('does without a key: nothing is sealed, nothing verified, everything else works', async () => {
    const id = await organization(1);
    await stack.restart({ vars: { AUDIT_SIGNING_KEY: null } });
    const self = await signedIn(stack, home.users.super_admin);
    await stack.triggerCron(SEALS);
    assert.deepEqual(await seals(stack.pg, id), []);
    refused(await self('GET', '/api/audit-logs/verify'), 503, 'SERVICE_UNAVAILABLE');
    good(await self('GET', '/api/audit-logs'));
  });

  test('goes on with a new key, and still believes the old one', async () => {
    const old = stack.vars.AUDIT_SIGNING_KEY ?? randomBytes(32).toString('base64url');
    await stack.restart({ vars: { AUDIT_SIGNING_KEY: old } });
    root = await signedIn(stack, home.users.super_admin);
    const id = await organization(2);
    await seal(id);
    await stack.restart({ vars: { AUDIT_SIGNING_KEY: `${old},${randomBytes(32).toString('base64url')}` } });
    root = await signedIn(stack, home.users.super_admin);
    await write(id, 2);
    await seal(id);
    const made = await seals(stack.pg, id);
    assert.equal(new Set(made.map((one) => one.key_id)).size, 2);
    await isWhole(id);
  });
});

describe('tampering', () => {
  // Each with 30 rows in three seals of ten; `at(n)` is the n-th row's sequence.
  const cases = {
    'a changed text': ['changed', (at) => at(14), (id, at) => sql("UPDATE audit_logs SET description = 'nothing' WHERE sequence = $1", at(14))],
    'a changed actor': ['changed', (at) => at(0), (id, at) => sql('UPDATE audit_logs SET user_id = NULL, actor_kind = $2 WHERE sequence = $1', at(0), 'system')],
    'a changed time': ['changed', (at) => at(29), (id, at) => sql("UPDATE audit_logs SET created_at = created_at + interval '1 microsecond' WHERE sequence = $1", at(29))],
    'a changed value in the changes': ['changed', (at) => at(7), (id, at) => sql("UPDATE audit_logs SET changes = jsonb_set(changes, '{after,price}', '1.5') WHERE sequence = $1", at(7))],
    'a changed address': ['changed', (at) => at(8), (id, at) => sql("UPDATE audit_logs SET ip_address = '2001:db8::1/64' WHERE sequence = $1", at(8))],
    'a success made of a failure': ['changed', (at) => at(20), (id, at) => sql('UPDATE audit_logs SET success = false WHERE sequence = $1', at(20))],
    'a removed row': ['removed', (at) => at(15), (id, at) => sql('DELETE FROM audit_logs WHERE sequence = $1', at(15))],
    'a row moved to another organization': ['removed', (at) => at(3), async (id, at) => sql('UPDATE audit_logs SET organization_id = $2 WHERE sequence = $1', at(3), home.id)],
    'rows removed up to the first': ['removed', (at) => at(0), (id, at) => sql('DELETE FROM audit_logs WHERE organization_id = $2 AND sequence <= $1', at(4), id)],
    'an added row': ['added', (at) => at(12) - 1, (id, at) => add(id, at(12) - 1)],
    'a row added before the first': ['added', (at) => at(0) - 1, (id, at) => add(id, at(0) - 1)],
    'a row added between two seals': ['added', (at) => at(10) - 1, (id, at) => add(id, at(10) - 1)],
    'a row with the number of another': ['added', (at) => at(5), (id, at) => add(id, at(5))],
    'rows cut off at the end': ['cut_off', (at) => at(25), (id, at) => sql('DELETE FROM audit_logs WHERE organization_id = $2 AND sequence >= $1', at(25), id)],
    'every row': ['cut_off', (at) => at(0), (id) => sql('DELETE FROM audit_logs WHERE organization_id = $1', id)],
    'the last seal': ['cut_off', (at) => at(29), (id, at) => sql('DELETE FROM audit_seals WHERE organization_id = $2 AND last_sequence = $1', at(29), id)],
    'the last two seals with their rows': ['cut_off', (at) => at(29), async (id, at) => {
      await sql('DELETE FROM audit_seals WHERE organization_id = $2 AND last_sequence > $1', at(9), id);
      await sql('DELETE FROM audit_logs WHERE organization_id = $2 AND sequence > $1', at(9), id);
    }],
    'every seal': ['cut_off', (at) => at(29), (id) => sql('DELETE FROM audit_seals WHERE organization_id = $1', id)],
    'everything': ['cut_off', (at) => at(29), async (id) => {
      await sql('DELETE FROM audit_seals WHERE organization_id = $1', id);
      await sql('DELETE FROM audit_logs WHERE organization_id = $1', id);
    }],
    'a seal in the middle': ['forged', (at) => at(20), (id, at) => sql('DELETE FROM audit_seals WHERE organization_id = $2 AND last_sequence = $1', at(19), id)],
    'the first seal': ['forged', (at) => at(10), (id, at) => sql('DELETE FROM audit_seals WHERE organization_id = $2 AND last_sequence = $1', at(9), id)],
    'the list of a seal': ['forged', (at) => at(10), (id, at) => edit(id, at(19), "row_hashes = replace(row_hashes, 'a', 'b')")],
    'the digest of a seal': ['forged', (at) => at(10), (id, at) => edit(id, at(19), "digest = repeat('0', 64)")],
    'the signature of a seal': ['forged', (at) => at(10), (id, at) => edit(id, at(19), "signature = repeat('0', 128)")],
    'the time of a seal': ['forged', (at) => at(20), (id, at) => edit(id, at(29), "sealed_at = sealed_at - interval '1 day'")],
    'the count of a seal': ['forged', (at) => at(0), (id, at) => edit(id, at(9), 'row_count = 2000000000')],
    'the id of a seal': ['forged', (at) => at(0), (id, at) => edit(id, at(9), 'id = uuid_generate_v4()')],
    'the key of a seal': ['forged', (at) => at(0), (id, at) => edit(id, at(9), "key_id = 'nobody'")],
    'the chain of a seal': ['forged', (at) => at(20), (id, at) => edit(id, at(29), "previous_digest = repeat('0', 64)")],
    'a change, sealed again with another key': ['forged', (at) => at(20), async (id, at) => {
      await sql("UPDATE audit_logs SET description = 'nothing' WHERE sequence = $1", at(24));
      const [, before, last] = await seals(stack.pg, id);
      const { at: _, ...forged } = sealed(randomBytes(32).toString('base64url'), id, before, await hashes(stack.pg, id, before.last_sequence), last.at);
      await sql('UPDATE audit_seals SET row_hashes = $2, digest = $3, signature = $4 WHERE id = $1', last.id, forged.row_hashes, forged.digest, forged.signature);
    }],
  };

  const sql = (text, ...values) => stack.pg.query(text, values);
  const edit = (id, last, assignment) => sql(`UPDATE audit_seals SET ${assignment} WHERE organization_id = $1 AND last_sequence = $2`, id, last);
  const add = (id, sequence) => sql(`
    INSERT INTO audit_logs (sequence, organization_id, action, event, resource_type) OVERRIDING SYSTEM VALUE
    VALUES ($2, $1, 'create', 'license.created', 'license')`, id, sequence);

  const organizations = {};

  before(async () => {
    root = await signedIn(stack, home.users.super_admin);
    for (const name of Object.keys(cases)) organizations[name] = await organization();
    const ids = Object.values(organizations);
    for (let round = 0; round < 3; round += 1) {
      for (const id of ids) {
        for (let row = 0; row < 10; row += 1) {
          // Every other number is left free, for rows to be added there.
          await sql("SELECT nextval('audit_logs_sequence_seq')");
          await write(id, 1);
        }
      }
      await seal(...ids);
    }
    // As the owner of the database, with everything that stands in the way out of it.
    await sql('ALTER TABLE audit_logs DISABLE TRIGGER ALL');
  });

  for (const [name, [kind, place, tamper]] of Object.entries(cases)) {
    test(`${name}: ${kind}`, async () => {
      const id = organizations[name];
      assert.equal((await isWhole(id)).seals, 3);
      const { rows } = await sql('SELECT sequence::int, id FROM audit_logs WHERE organization_id = $1 ORDER BY 1', id);
      const at = (index) => rows[index].sequence;
      const made = await seals(stack.pg, id);
      await tamper(id, at);
      const found = await verified(id);
      assert.deepEqual([found.intact, found.complete], [false, false]);
      assert.deepEqual([found.break.kind, found.break.sequence], [kind, place(at)], JSON.stringify(found));
      if (kind === 'changed') assert.equal(found.break.row_id, rows.find((row) => row.sequence === place(at)).id);
      if (kind === 'added') {
        const { rows: added } = await sql('SELECT id FROM audit_logs WHERE organization_id = $1 AND NOT id = ANY ($2)', id, rows.map((row) => row.id));
        assert.deepEqual([found.break.row_id], added.map((row) => row.id));
      }
      if (found.break.seal_id && name !== 'the id of a seal') {
        const holder = made.find((one) => Number(one.last_sequence) >= found.break.sequence);
        assert.equal(found.break.seal_id, holder.id);
      }
      const good = made.filter((one) => Number(one.last_sequence) < Math.min(found.break.sequence, at(29)) && Number(one.last_sequence) <= (found.verified_to ?? 0));
      assert.equal(found.seals, good.length);
    });
  }

  test('no job covers it up: what was cut off stays cut off, and the rest of the tenants is sealed', async () => {
    const cut = organizations['the last seal'];
    const fine = await organization(3);
    await write(cut, 5);
    const before = await seals(stack.pg, cut);
    await seal(fine);
    await isWhole(fine);
    assert.deepEqual(await seals(stack.pg, cut), before);
    assert.equal((await verified(cut)).break.kind, 'cut_off');
    await eventually(() => stack.logs().includes('the audit log of a tenant was not sealed'));
  });
});
