//! `PATCH /api/ai/prompts/{id}`

use super::active;
use super::model::{Prompt, PromptChanges};
use super::queries::{self, COLUMNS, PROMPT, checked, mine};
use super::wording;
use crate::db::Raw;
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiPromptsWrite, Permit};
use crate::http::reply::Data;

/// Changes a version.
pub async fn update(
    permit: Permit<AiPromptsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<PromptChanges>>,
) -> Outcome<Data<Prompt>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    if wording::is_other(&wanted) && queries::is_used(&mut tx, id).await? {
        return Err(Code::PromptInUse.into());
    }
    let variables = wording::after(&mut tx, &before.facts, &wanted).await?;
    let set = queries::assignments(&wanted, variables);
    let query = checked(mine(&tx).id(id).set(set, COLUMNS));
    let after: Raw<Prompt> = tx.one(query, Code::PromptNotFound).await?;
    tx.record_change(&PROMPT, "prompt.updated", &before.row, &after);
    let slug = before.facts.slug.clone();
    tx.after_commit(async move {
        active::forget(&slug);
        Ok(())
    });
    permit.commit(tx, Data::raw(&after)).await
}
