//! `DELETE /api/ai/models/{id}`

use super::catalogue;
use super::model::AiModel;
use super::queries::{self, COLUMNS, MODEL, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiModelsWrite, Permit};
use crate::http::reply::NoContent;

/// Takes a model out of the catalogue. What was asked of it stays on record, and a change can offer it again.
pub async fn remove(
    permit: Permit<AiModelsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new().fixed("is_active = false, is_default = false");
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let after: Raw<AiModel> = tx.one(query, Code::ModelNotFound).await?;
    tx.record_ending(&MODEL, "ai_model.withdrawn", &before, &after);
    tx.after_commit(async {
        catalogue::forget();
        Ok(())
    });
    permit.commit(tx, NoContent::done()).await
}
