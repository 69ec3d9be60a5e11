//! `PATCH /api/ai/models/{id}`

use super::catalogue;
use super::model::{AiModel, AiModelChanges};
use super::queries::{self, ALIASES, COLUMNS, MODEL, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiModelsWrite, Permit};
use crate::http::reply::Data;

/// Changes a model; calls go by it within a minute everywhere.
pub async fn update(
    permit: Permit<AiModelsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<AiModelChanges>>,
) -> Outcome<Data<AiModel>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    if wanted.is_default.value() == Some(&true) && before.tree()["is_default"] == false {
        queries::clear_default(&mut tx).await?;
    }
    let set = Set::new()
        .patch("display_name = {}", &wanted.display_name)
        .patch_json(ALIASES, &wanted.aliases)
        .patch_json("capabilities = {}::jsonb", &wanted.capabilities)
        .patch("max_tokens_input = {}::int", &wanted.max_tokens_input)
        .patch("max_tokens_output = {}::int", &wanted.max_tokens_output)
        .patch("context_window = {}::int", &wanted.context_window)
        .patch("cost_per_1k_input = {}::numeric", &wanted.cost_per_1k_input)
        .patch(
            "cost_per_1k_cached = {}::numeric",
            &wanted.cost_per_1k_cached,
        )
        .patch(
            "cost_per_1k_output = {}::numeric",
            &wanted.cost_per_1k_output,
        )
        .patch("is_active = {}::boolean", &wanted.is_active)
        .patch("is_default = {}::boolean", &wanted.is_default)
        .patch("priority = {}::int", &wanted.priority)
        .patch("notes = {}", &wanted.notes)
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata);
    let query = mine(&tx)
        .id(id)
        .set(set, COLUMNS)
        .on("ai_models_default_key", Code::Conflict);
    let after: Raw<AiModel> = tx.one(query, Code::ModelNotFound).await?;
    tx.record_change(&MODEL, "ai_model.updated", &before, &after);
    tx.after_commit(async {
        catalogue::forget();
        Ok(())
    });
    permit.commit(tx, Data::raw(&after)).await
}
