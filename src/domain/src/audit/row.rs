//! The canonical form of an audit row.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The columns of `audit_logs` that a row's hash covers, in their order: all.
pub const COLUMNS: [&str; 18] = [
    "sequence",
    "id",
    "organization_id",
    "user_id",
    "api_key_id",
    "actor_kind",
    "action",
    "event",
    "resource_type",
    "resource_id",
    "description",
    "changes",
    "request_id",
    "ip_address",
    "user_agent",
    "success",
    "error_message",
    "created_at",
];

/// A row as far as seals are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowHash {
    /// Its place in the log.
    pub sequence: i64,
    /// Its id.
    pub id: Uuid,
    /// SHA-256 of its canonical form.
    pub hash: [u8; 32],
}

/// The canonical form of a row, given its [`COLUMNS`] as text.
pub fn canonical(columns: &[Option<String>; COLUMNS.len()]) -> String {
    // Strings and nulls always serialize.
    serde_json::to_string(columns.as_slice()).unwrap_or_default()
}

/// Hashes a row. `None` when the first two columns are not a sequence and an id.
pub fn row_hash(columns: &[Option<String>; COLUMNS.len()]) -> Option<RowHash> {
    Some(RowHash {
        sequence: columns[0].as_deref()?.parse().ok()?,
        id: columns[1].as_deref()?.parse().ok()?,
        hash: Sha256::digest(canonical(columns)).into(),
    })
}
