// An audit log that lost its end, as one from a backup: what is acknowledged of it, and who may verify it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { caller, good, refused, refusedFields } from './support/api.mjs';
import { SEALS, sealing } from './support/sealing.mjs';
import { seals } from './support/seals.mjs';
import { startStack } from './harness/client.mjs';
import { auditOf, createOrganization, createUser, insert, signedIn } from './support/world.mjs';

let stack;
let home;
let root;
let organization;
let write;
let seal;
let verified;
let isWhole;

before(async () => {
  stack = await startStack();
  home = await createOrganization(stack, { roles: ['super_admin', 'admin', 'manager'] });
  root = home.as.super_admin;
  ({ organization, write, seal, verified, isWhole } = sealing(stack, root));
});
after(async () => stack?.stop());

describe('a log that is cut off and acknowledged', () => {
  const acknowledge = (id, sequence, more = {}) => root('POST', '/api/audit-logs/acknowledge', {
    body: { ...(id && { organization_id: id }), sequence, reason: 'Restored from the backup of Monday' }, ...more,
  });
  const broken = async (id) => (await verified(id)).break;

  test('is sealed again from what is left, and stays known for it', async () => {
    const id = await organization();
    for (let round = 0; round < 3; round += 1) {
      await write(id, 2);
      await seal(id);
    }
    const made = await seals(stack.pg, id);
    const kept = Number(made[0].last_sequence);
    // As an older backup has it.
    await stack.pg.query('DELETE FROM audit_seals WHERE organization_id = $1 AND last_sequence > $2', [id, kept]);
    await stack.pg.query('ALTER TABLE audit_logs DISABLE TRIGGER ALL');
    await stack.pg.query('DELETE FROM audit_logs WHERE organization_id = $1 AND sequence > $2', [id, kept]);
    await write(id, 3);
    await stack.triggerCron(SEALS);
    const found = await broken(id);
    assert.deepEqual([found.kind, found.sequence], ['cut_off', Number(made[2].last_sequence)]);
    for (const sequence of [kept, found.sequence - 1, found.sequence + 1]) {
      refused(await acknowledge(id, sequence), 409, 'AUDIT_NOT_CUT_OFF');
    }
    const headers = { 'idempotency-key': randomUUID() };
    const said = good(await acknowledge(id, found.sequence, { headers }));
    assert.deepEqual([said.lost_to, said.kept_to, said.acknowledged_by], [found.sequence, kept, home.users.super_admin]);
    assert.deepEqual(good(await acknowledge(id, found.sequence, { headers })), said);
    refused(await acknowledge(id, found.sequence), 409, 'AUDIT_NOT_CUT_OFF');
    await seal(id);
    const whole = await isWhole(id);
    assert.deepEqual(whole.acknowledged, [said]);
    const [row] = await auditOf(stack, id);
    assert.deepEqual([row.event, row.organization_id, row.changes.before.sealed_to, row.changes.after.reason],
      ['audit.break_acknowledged', id, found.sequence, said.reason]);
    // It is no way to take something back: the next cut is found as the first one was.
    await stack.pg.query('DELETE FROM audit_seals WHERE organization_id = $1 AND last_sequence > $2', [id, kept]);
    const again = await broken(id);
    assert.equal(again.kind, 'cut_off');
    good(await acknowledge(id, again.sequence));
    await seal(id);
    assert.equal((await isWhole(id)).acknowledged.length, 2);
  });

  test('begins anew where no seal is left, and where it belongs to no organization', async () => {
    await insert(stack, 'audit_logs', { action: 'update', event: 'settings.changed', resource_type: 'setting' });
    const id = await organization(2);
    await seal(id, null);
    for (const tenant of [id, null]) {
      await stack.pg.query('DELETE FROM audit_seals WHERE organization_id IS NOT DISTINCT FROM $1', [tenant]);
      const { sequence } = await broken(tenant);
      assert.equal(good(await acknowledge(tenant, sequence)).kept_to, null);
      await seal(tenant);
      const whole = await verified(tenant);
      assert.deepEqual([whole.intact, whole.complete, whole.acknowledged.length], [true, true, 1]);
    }
  });

  test('is acknowledged where nothing is missing by nobody, and by operators only', async () => {
    const id = await organization(2);
    await seal(id);
    const [{ last_sequence: end }] = await seals(stack.pg, id);
    refused(await acknowledge(id, Number(end)), 409, 'AUDIT_NOT_CUT_OFF');
    refused(await acknowledge(await organization(), 1), 409, 'AUDIT_NOT_CUT_OFF');
    refused(await acknowledge(randomUUID(), 1), 404, 'ORGANIZATION_NOT_FOUND');
    refusedFields(await acknowledge(id, Number(end), { body: { organization_id: id, sequence: 1, reason: '' } }), 'reason');
    const admin = await signedIn(stack, home.users.admin);
    refused(await admin('POST', '/api/audit-logs/acknowledge', { body: { sequence: 1, reason: 'x' } }), 403, 'FORBIDDEN');
  });
});

describe('who verifies', () => {
  test('an organization its own log, and nobody a part of one', async () => {
    const other = await organization(2);
    const admin = await signedIn(stack, home.users.admin);
    const manager = await signedIn(stack, home.users.manager);
    await seal(home.id);
    const own = good(await admin('GET', '/api/audit-logs/verify'));
    assert.deepEqual(good(await manager('GET', '/api/audit-logs/verify', { query: { organization_id: home.id } })).seals, own.seals);
    const details = refused(await admin('GET', '/api/audit-logs/verify', { query: { organization_id: other } }), 422, 'VALIDATION_FAILED');
    assert.ok(details.fields.organization_id);
    const client = await signedIn(stack, await createUser(stack, home.id, 'client', { scopes: '["audit:read"]' }));
    refused(await client('GET', '/api/audit-logs/verify'), 403, 'FORBIDDEN');
    for (const query of [{ after: -1 }, { after: 'x' }, { after: '1e3' }, { organization_id: 'x' }]) {
      const answer = await root('GET', '/api/audit-logs/verify', { query });
      assert.ok([400, 422].includes(answer.status), answer.text);
    }
    refused(await caller(stack)('GET', '/api/audit-logs/verify'), 401, 'UNAUTHENTICATED');
  });
});
