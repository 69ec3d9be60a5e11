//! Seals: a signed digest over a stretch of rows, chained to the one before.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Keys, RowHash, hex, unhex};

/// The newest seal of a tenant, as the next one and the world outside know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last sequence number it covers.
    pub last_sequence: i64,
    /// Its digest.
    pub digest: String,
}

/// A seal, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Row id: the beginning of the digest, so that it cannot be changed unnoticed either.
    pub id: Uuid,
    /// The tenant; `None` for rows that belong to no organization.
    pub organization_id: Option<Uuid>,
    /// The first row sealed.
    pub first_sequence: i64,
    /// The last row sealed.
    pub last_sequence: i64,
    /// How many rows were sealed.
    pub row_count: i64,
    /// Every row sealed: `sequence:hash`, one a line.
    pub row_hashes: String,
    /// SHA-256 over all of the above and the two below, but for the id.
    pub digest: String,
    /// The digest of the seal before; `None` for a tenant's first.
    pub previous_digest: Option<String>,
    /// When, to the microsecond.
    pub sealed_at: DateTime<Utc>,
    /// Ed25519 over the digest.
    pub signature: String,
    /// The key that signed.
    pub key_id: String,
}

/// Seals rows, which come in the order of their sequence and after `previous`.
/// `None` when there are none.
pub fn seal(
    organization_id: Option<Uuid>,
    previous: Option<&Head>,
    rows: &[RowHash],
    sealed_at: DateTime<Utc>,
    keys: &Keys,
) -> Option<Seal> {
    let mut row_hashes = String::with_capacity(rows.len() * 80);
    for (place, row) in rows.iter().enumerate() {
        let separator = if place == 0 { "" } else { "\n" };
        let _ = write!(row_hashes, "{separator}{}:{}", row.sequence, hex(&row.hash));
    }
    let mut seal = Seal {
        id: Uuid::nil(),
        organization_id,
        first_sequence: rows.first()?.sequence,
        last_sequence: rows.last()?.sequence,
        row_count: i64::try_from(rows.len()).ok()?,
        row_hashes,
        digest: String::new(),
        previous_digest: previous.map(|head| head.digest.clone()),
        sealed_at,
        signature: String::new(),
        key_id: keys.key_id(),
    };
    let digest = seal.computed();
    seal.id = id_of(&digest);
    seal.digest = hex(&digest);
    seal.signature = keys.sign(&digest);
    Some(seal)
}

fn id_of(digest: &[u8; 32]) -> Uuid {
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(id)
}

impl Seal {
    /// What the next seal and the world outside keep of it.
    pub fn head(&self) -> Head {
        Head {
            last_sequence: self.last_sequence,
            digest: self.digest.clone(),
        }
    }

    /// Whether a key of ours signed exactly this.
    pub fn is_genuine(&self, keys: &Keys) -> bool {
        let digest = self.computed();
        self.id == id_of(&digest)
            && unhex(&self.digest) == Some(digest)
            && keys.vouch(&self.key_id, &digest, &self.signature)
    }

    /// The rows it lists; `None` when the list is malformed.
    pub(super) fn listed(&self) -> Option<Vec<(i64, [u8; 32])>> {
        self.row_hashes
            .split('\n')
            .map(|line| {
                let (sequence, hash) = line.split_once(':')?;
                Some((sequence.parse().ok()?, unhex(hash)?))
            })
            .collect()
    }

    fn computed(&self) -> [u8; 32] {
        let parts = [
            self.previous_digest.clone(),
            self.organization_id.map(|id| id.to_string()),
            Some(self.first_sequence.to_string()),
            Some(self.last_sequence.to_string()),
            Some(self.row_count.to_string()),
            Some(self.sealed_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            Some(self.row_hashes.clone()),
        ];
        Sha256::digest(serde_json::to_string(&parts).unwrap_or_default()).into()
    }
}
