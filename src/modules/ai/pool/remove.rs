//! `DELETE /api/ai/pool/keys/{id}`

use super::notices;
use super::queries::{self, COLUMNS, KEY, mine};
use crate::db::Raw;
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiKeysWrite, Permit};
use crate::http::reply::NoContent;
use crate::modules::ai::pool::model::AiKey;

/// Deletes a key: no call begins with it any more, and the key itself is gone. What was made with it stays on
/// record.
pub async fn remove(
    permit: Permit<AiKeysWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let query = mine(&tx).id(id).delete(COLUMNS);
    let gone: Raw<AiKey> = tx.one(query, Code::AiKeyNotFound).await?;
    tx.record_end(&KEY, "ai_key.deleted", &gone);
    notices::tell(&mut tx, before.pool);
    permit.commit(tx, NoContent::done()).await
}
