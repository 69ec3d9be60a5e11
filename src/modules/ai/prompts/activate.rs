//! `POST /api/ai/prompts/{id}/activate`

use super::active;
use super::model::{Activation, Prompt};
use super::queries::{self, COLUMNS, PROMPT, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiPromptsWrite, Permit};
use crate::http::reply::Data;

/// Lets a version serve calls: in the place of all others, or beside them with its weight.
pub async fn activate(
    permit: Permit<AiPromptsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<Activation>>,
) -> Outcome<Data<Prompt>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new()
        .fixed("is_active = true")
        .when("weight = {}::integer", wanted.weight);
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let after: Raw<Prompt> = tx.one(query, Code::PromptNotFound).await?;
    if !wanted.beside {
        queries::deactivate_others(&mut tx, &before.facts).await?;
    }
    tx.record_change(&PROMPT, "prompt.activated", &before.row, &after);
    let slug = before.facts.slug.clone();
    tx.after_commit(async move {
        active::forget(&slug);
        Ok(())
    });
    permit.commit(tx, Data::raw(&after)).await
}
