//! `GET /v1/models` and `GET /v1/models/{key}`

use crate::error::{Code, Result};
use crate::http::params::Key;
use crate::http::permit::{AiUse, Light};
use crate::http::reply::Bare;
use crate::modules::ai::models::{self, Model};
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
pub struct OpenAiModel {
    /// Its provider's name for it, or an alias.
    id: String,
    /// `model`.
    object: &'static str,
    /// When it was made known, in Unix seconds.
    created: i64,
    /// Its provider.
    owned_by: String,
}

impl OpenAiModel {
    /// By one of its names.
    fn of(id: String, model: &Model) -> Self {
        Self {
            id,
            object: "model",
            created: model.created_s,
            owned_by: model.provider.to_string(),
        }
    }
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
                data.push(OpenAiModel::of(name.clone(), model));
            }
        }
    }
    Ok(Bare(OpenAiModels {
        object: "list",
        data,
    }))
}

/// One that can be called, by any of its names: of an alias, the first that would answer.
pub async fn read(permit: Light<AiUse>, Key(name): Key) -> Result<Bare<OpenAiModel>> {
    let catalogue = models::catalogue(&*permit.call).await?;
    match catalogue.named(&name).first() {
        Some(model) => Ok(Bare(OpenAiModel::of(name, model))),
        None => Err(Code::ModelNotFound.into()),
    }
}
