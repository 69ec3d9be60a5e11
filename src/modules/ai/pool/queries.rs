//! The SQL of the providers' keys.

use super::lending::name_of;
use super::model::AiKey;
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Tx};
use crate::error::{Code, Error, Result};
use celaest_domain::ai::provider::Provider;
use celaest_domain::json;
use serde::Deserialize;
use uuid::Uuid;

/// The columns of [`AiKey`], from alias `k`. The key is in none of them.
pub const COLUMNS: &str =
    "k.id, k.organization_id, k.provider, k.key_name, k.key_hint, k.is_active, k.is_healthy, k.state, k.state_reason,
    k.state_since, k.cooling_until, k.consecutive_failures, k.generation, k.last_health_check, k.rate_limit_rpm,
    k.rate_limit_tpm, k.rate_limit_rpd, k.usage_count, k.tokens_used, k.last_used_at, k.priority, k.weight, k.notes,
    k.metadata, k.expires_at, k.created_at, k.updated_at";

/// What the log learns of a key. Nobody outside is told.
pub const KEY: Subject = Subject {
    kind: "ai_key",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The caller's keys: the organization's own; for a super administrator all.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("ai_api_pool", "k").when("k.organization_id = {}::uuid", tx.scope().organization())
}

/// A key whose row is held, with what rules look at.
pub struct Locked {
    /// The row.
    pub row: Raw<AiKey>,
    /// Whose models it opens.
    pub provider: Provider,
    /// The name of its pool's object.
    pub pool: String,
}

/// The parts of [`Locked`] in the row.
#[derive(Deserialize)]
struct Parts {
    provider: Provider,
    organization_id: Option<Uuid>,
}

/// Reads one key and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).lock(COLUMNS);
    let row: Raw<AiKey> = tx.one(query, Code::AiKeyNotFound).await?;
    let parts: Parts = json::read(row.text()).map_err(Error::internal)?;
    Ok(Locked {
        row,
        provider: parts.provider,
        pool: name_of(parts.provider, parts.organization_id),
    })
}
