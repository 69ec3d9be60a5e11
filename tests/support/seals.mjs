// The seals of the audit log, made and checked by another program than the worker: what the product
// documents about them is all that this file knows.

import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';

const COLUMNS = [
  'sequence', 'id', 'organization_id', 'user_id', 'api_key_id', 'actor_kind', 'action', 'event', 'resource_type',
  'resource_id', 'description', 'changes', 'request_id', 'ip_address', 'user_agent', 'success', 'error_message',
];

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** The hashes of an organization's rows, as `sequence:hash`, in order. */
export async function hashes(pg, organization, after = 0, last = '9223372036854775807') {
  const { rows } = await pg.query(
    `SELECT ${COLUMNS.map((column) => `${column}::text`)},
       to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at
     FROM audit_logs WHERE organization_id IS NOT DISTINCT FROM $1 AND audit_logs.sequence > $2 AND audit_logs.sequence <= $3
     ORDER BY audit_logs.sequence`, [organization, after, last]);
  return rows.map((row) => {
    const values = [...COLUMNS, 'created_at'].map((column) => row[column]);
    return `${row.sequence}:${sha256(JSON.stringify(values))}`;
  });
}

/** An organization's seals, oldest first, with their times as they were signed. */
export async function seals(pg, organization) {
  const { rows } = await pg.query(
    `SELECT *, to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
     FROM audit_seals WHERE organization_id IS NOT DISTINCT FROM $1 ORDER BY last_sequence`, [organization]);
  return rows;
}

/** The digest that a seal has to have. */
export const digestOf = (seal) => sha256(JSON.stringify([
  seal.previous_digest, seal.organization_id, seal.first_sequence, seal.last_sequence, seal.row_count, seal.at, seal.row_hashes,
].map((part) => (part === null ? null : String(part)))));

/** Whether the key with this public half, in hexadecimal, signed a seal's digest. */
export function isSigned(seal, publicKey) {
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey, 'hex').toString('base64url') }, format: 'jwk',
  });
  return verify(null, Buffer.from(seal.digest, 'hex'), key, Buffer.from(seal.signature, 'hex'));
}

/** Seals rows as the worker would, with the seed in base64url; returns the row of the seal. */
export function sealed(seed, organization, previous, lines, at) {
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'base64url')]),
    format: 'der', type: 'pkcs8',
  });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  const seal = {
    organization_id: organization,
    first_sequence: lines[0].split(':')[0],
    last_sequence: lines.at(-1).split(':')[0],
    row_count: lines.length,
    row_hashes: lines.join('\n'),
    previous_digest: previous?.digest ?? null,
    at,
  };
  const digest = digestOf(seal);
  return {
    ...seal,
    // The beginning of the digest.
    id: digest.slice(0, 32),
    digest,
    signature: sign(null, Buffer.from(digest, 'hex'), key).toString('hex'),
    key_id: createHash('sha256').update(publicKey).digest('hex').slice(0, 16),
  };
}
