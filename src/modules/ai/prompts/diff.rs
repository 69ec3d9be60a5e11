//! `GET /api/ai/prompts/{id}/diff`

use super::model::{Prompt, PromptDiff, ValueChange};
use super::queries::{COLUMNS, usable};
use crate::db::{Raw, Tx};
use crate::error::{Code, Error, Result};
use crate::http::params::{Id, Query};
use crate::http::permit::{AiPromptsRead, Permit};
use crate::http::reply::Data;
use crate::http::types::Ident;
use celaest_domain::ai::diff;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// With what to compare.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PromptComparison")]
pub struct Comparison {
    /// The version before. Default the one that this one was made from.
    pub from: Option<Ident>,
}

/// What is compared besides the texts.
const COMPARED: [&str; 7] = [
    "name",
    "description",
    "variables",
    "preferred_model_id",
    "temperature",
    "max_tokens",
    "top_p",
];

/// What differs between two versions: the texts line by line.
pub async fn diff(
    permit: Permit<AiPromptsRead>,
    Id(id): Id,
    Query(with): Query<Comparison>,
) -> Result<Data<PromptDiff>> {
    let mut tx = permit.begin();
    let to = find(&mut tx, id).await?.ok_or(Code::PromptNotFound)?;
    let parent = to["parent_id"]
        .as_str()
        .and_then(|id| Uuid::try_parse(id).ok());
    let from = match (with.from, parent) {
        (Some(Ident(from)), _) => find(&mut tx, from).await?,
        (None, Some(parent)) => find(&mut tx, parent).await?,
        (None, None) => {
            let problem = "is required for a version that was made from no other";
            return Err(Error::field("from", problem));
        }
    };
    let from = from.ok_or_else(|| Error::field("from", "does not exist"))?;
    let text =
        |version: &Value, field: &str| version[field].as_str().unwrap_or_default().to_owned();
    let lines = |field| diff::lines(&text(&from, field), &text(&to, field));
    let fields: BTreeMap<String, ValueChange> = COMPARED
        .into_iter()
        .filter(|field| from[*field] != to[*field])
        .map(|field| {
            let change = ValueChange {
                from: from[field].clone(),
                to: to[field].clone(),
            };
            (field.to_owned(), change)
        })
        .collect();
    Ok(Data::of(&PromptDiff {
        from_version: from["version"].as_i64().unwrap_or_default(),
        to_version: to["version"].as_i64().unwrap_or_default(),
        system_prompt: lines("system_prompt"),
        user_prompt_template: lines("user_prompt_template"),
        fields,
    }))
}

async fn find(tx: &mut Tx, id: Uuid) -> Result<Option<Value>> {
    let query = usable(tx).id(id).read(COLUMNS);
    let found: Option<Raw<Prompt>> = tx.row(query).await?;
    Ok(found.map(|row| row.tree()))
}
