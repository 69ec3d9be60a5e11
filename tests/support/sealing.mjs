// What tests of the audit log's seals do: write rows, have them sealed, and verify.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { eventually, good } from './api.mjs';
import { hashes, seals } from './seals.mjs';
import { insert } from './world.mjs';

/** The job that seals. */
export const SEALS = '2-57/5 * * * *';

/** The vocabulary for one worker, where `root` may verify everything. */
export function sealing(stack, root) {
  /** An organization nobody else knows, with so many audit rows; returns its id. */
  async function organization(rows = 0) {
    const id = randomUUID();
    await insert(stack, 'organizations', { id, name: id, slug: `t-${randomBytes(6).toString('hex')}` });
    if (rows) await write(id, rows);
    return id;
  }

  /** Adds audit rows past the API. */
  async function write(id, rows, client = stack.pg) {
    await client.query(
      `INSERT INTO audit_logs (organization_id, action, event, resource_type, resource_id, description, changes, ip_address, request_id)
       SELECT $1, 'update', 'license.updated', 'license', uuid_generate_v4(), 'Row ' || n || E' \\u00e9 "x" \\\\ \\n\\t\\x01',
         jsonb_build_object('before', '{}'::jsonb, 'after', jsonb_build_object('notes', n, 'price', 1.50)), '2001:db8::1', 'r-' || n
       FROM generate_series(1, $2::int) AS n`, [id, rows]);
  }

  const waiting = async (id) => (await stack.pg.query(
    `SELECT count(*)::int FROM audit_logs WHERE organization_id IS NOT DISTINCT FROM $1
     AND sequence > coalesce((SELECT max(last_sequence) FROM audit_seals WHERE organization_id IS NOT DISTINCT FROM $1), 0)`, [id])).rows[0].count;

  /** Runs the job until nothing of these organizations waits. */
  async function seal(...organizations) {
    await stack.triggerCron(SEALS);
    for (const id of organizations) await eventually(async () => (await waiting(id)) === 0, 60_000);
  }

  /** One call of the verification. */
  const step = async (id, after = 0) => good(await root('GET', '/api/audit-logs/verify', {
    query: { ...(id && { organization_id: id }), after },
  }));

  /** Verifies to the end or the first break. */
  async function verified(id) {
    const whole = { seals: 0, rows: 0, calls: 0 };
    for (let after = 0; ;) {
      const part = await step(id, after);
      whole.calls += 1;
      whole.seals += part.seals;
      whole.rows += part.rows;
      if (part.next === null) return { ...part, ...whole };
      assert.ok(part.next > after && part.intact && !part.complete);
      after = part.next;
    }
  }

  /** Asserts that everything is sealed, once, and nothing is wrong. */
  async function isWhole(id) {
    const result = await verified(id);
    assert.deepEqual([result.intact, result.complete, result.break, result.unsealed], [true, true, null, 0], JSON.stringify(result));
    const listed = (await seals(stack.pg, id)).flatMap(({ row_hashes: lines }) => lines.split('\n'));
    assert.deepEqual(listed, await hashes(stack.pg, id));
    assert.equal(result.rows, listed.length);
    return result;
  }

  return { organization, write, waiting, seal, step, verified, isWhole };
}
