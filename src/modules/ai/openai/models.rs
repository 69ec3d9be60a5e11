//! `GET /v1/models`

use crate::error::Result;
use crate::http::permit::{AiUse, Light};
use crate::http::reply::Bare;
use crate::modules::ai::models;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// The models that can be called, as OpenAI lists them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiModels")]
pub struct OpenAiModels {
    /// `list`.
    object: &'static str,
    /// All of them, the default first.
    data: Vec<OpenAiModel>,
}

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiModel")]
struct OpenAiModel {
    /// Its provider's name for it, or an alias.
    id: String,
    /// `model`.
    object: &'static str,
    /// When it was made known, in Unix seconds.
    created: i64,
    /// Its provider.
    owned_by: String,
}

/// Lists what can be called.
pub async fn list(permit: Light<AiUse>) -> Result<Bare<OpenAiModels>> {
    let catalogue = models::catalogue(&*permit.call).await?;
    let mut seen = BTreeSet::new();
    let mut data = Vec::new();
    for model in &catalogue.models {
        let names = std::iter::once(&model.model_id).chain(&model.aliases);
        for name in names {
            if seen.insert(name.clone()) {
                data.push(OpenAiModel {
                    id: name.clone(),
                    object: "model",
                    created: model.created_s,
                    owned_by: model.provider.to_string(),
                });
            }
        }
    }
    Ok(Bare(OpenAiModels {
        object: "list",
        data,
    }))
}
