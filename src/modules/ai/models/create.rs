//! `POST /api/ai/models`

use super::catalogue;
use super::model::{AiModel, NewAiModel};
use super::queries::{self, ALIASES, COLUMNS, MODEL};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AiModelsWrite, Permit};
use crate::http::reply::Created;
use serde_json::json;

/// Makes a model known.
pub async fn create(
    permit: Permit<AiModelsWrite>,
    Once(key, Body(new)): Once<Body<NewAiModel>>,
) -> Outcome<Created<AiModel>> {
    let mut tx = permit.begin_once(key).await?;
    if new.is_default {
        queries::clear_default(&mut tx).await?;
    }
    let query = Set::new()
        .to("provider = {}::text::ai_provider", new.provider.as_str())
        .to("model_id = {}", new.model_id)
        .to("display_name = {}", new.display_name)
        .to(ALIASES, json!(new.aliases))
        .to("capabilities = {}::jsonb", json!(new.capabilities))
        .to("max_tokens_input = {}::int", new.max_tokens_input)
        .to("max_tokens_output = {}::int", new.max_tokens_output)
        .to("context_window = {}::int", new.context_window)
        .to("cost_per_1k_input = {}::numeric", new.cost_per_1k_input)
        .to("cost_per_1k_cached = {}::numeric", new.cost_per_1k_cached)
        .to("cost_per_1k_output = {}::numeric", new.cost_per_1k_output)
        .when("is_active = {}::boolean", new.is_active)
        .to("is_default = {}::boolean", new.is_default)
        .when("priority = {}::int", new.priority)
        .to("notes = {}", new.notes)
        .to("metadata = {}::jsonb", json!(new.metadata))
        .insert("ai_models", "m", COLUMNS)
        .on("ai_models_provider_model_key", Code::ModelTaken)
        .on("ai_models_default_key", Code::Conflict);
    let model: Raw<AiModel> = tx.one(query, Code::Internal).await?;
    tx.record_new(&MODEL, "ai_model.created", &model);
    tx.after_commit(async {
        catalogue::forget();
        Ok(())
    });
    permit.commit(tx, Created::raw(&model)).await
}
