//! `POST /api/ai/pool/keys/{id}/test`

use super::model::Tested;
use super::probe::{self, Tried};
use super::queries::mine;
use crate::db::Set;
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiKeysWrite, Permit};
use crate::http::reply::Data;
use crate::modules::ai::models::{Model, catalogue};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// A body without fields.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AiKeyTesting")]
pub struct Nothing {}

/// Tries a key with a short question to its provider's cheapest model. Its pool learns what came of it: a key
/// that was disabled is used again when it works.
pub async fn test(
    permit: Permit<AiKeysWrite>,
    Id(id): Id,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Data<Tested>> {
    let call = &*permit.call;
    let models = catalogue(call).await?;
    let mut tx = permit.begin_once(key).await?;
    let query = probe::read(mine(&tx).id(id));
    let tried: Tried = tx.one(query, Code::AiKeyNotFound).await?;
    let model = cheapest(&models.of_provider(tried.provider));
    let found = probe::try_it(call, &tried, model.as_deref()).await?;
    let set = Set::new().fixed("last_health_check = now()");
    let query = mine(&tx).id(id).set(set, "k.id");
    tx.execute(query).await?;
    let reply = Data::of(&Tested {
        ok: found.failure.is_none(),
        status: found.status,
        error: found.failure.map(|failure| failure.code.to_owned()),
        latency_ms: found.latency_ms,
    });
    permit.commit(tx, reply).await
}

/// The model whose answers cost least; one whose price is unknown comes last.
fn cheapest(models: &[Arc<Model>]) -> Option<Arc<Model>> {
    let price = |model: &Arc<Model>| model.prices.output.map_or(u64::MAX, |price| price.0);
    models.iter().min_by_key(|model| price(model)).cloned()
}
