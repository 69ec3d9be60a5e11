//! The tamper evidence of the audit log: what a row's hash is, how rows are
//! sealed, and how a broken log is found and named.
//!
//! **Row.** The canonical form of a row is the JSON text of one array: its
//! [`COLUMNS`] in that order, each a string or null, without white space,
//! escaped as `JSON.stringify` does. Numbers, UUIDs, booleans and addresses are
//! written as PostgreSQL's `::text` does, `changes` as the text of `jsonb`, and
//! `created_at` as `YYYY-MM-DDTHH:MM:SS.ffffffZ` in UTC. The hash of the row is
//! the SHA-256 of that text.
//!
//! **Seal.** A seal covers the stretch of a tenant's sequence numbers after the
//! seal before, up to its own `last_sequence`. It lists its rows, one
//! `sequence:hash` a line. Its digest is the SHA-256 of another such array:
//! previous digest, organization, first and last sequence, row count, time of
//! sealing, list. Its id is the first half of the digest. Its signature is Ed25519 over the 32 bytes of the digest.
//! Digests, hashes, keys and signatures are written in lower-case hexadecimal.
//!
//! **Head.** The newest seal of each tenant is also known outside the database,
//! so that seals cut off at the end are missed.

mod keys;
mod redact;
mod row;
mod seal;
mod verify;

#[cfg(test)]
mod tests;

pub use keys::{InvalidKeys, Keys};
pub use redact::{redacted, redacted_fields};
pub use row::{COLUMNS, RowHash, canonical, row_hash};
pub use seal::{Head, Seal, seal};
pub use verify::{Break, Kind, check_end, check_seal};

use crate::hex::hex;

/// The bytes of lower-case hexadecimal of exactly the right length.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8] = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
