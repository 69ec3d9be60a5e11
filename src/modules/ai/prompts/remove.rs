//! `DELETE /api/ai/prompts/{id}`

use super::active;
use super::model::Prompt;
use super::queries::{self, COLUMNS, PROMPT, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiPromptsWrite, Permit};
use crate::http::reply::NoContent;

/// Deletes a version. No new call is served by it; tasks that were handed in with it still are.
pub async fn remove(
    permit: Permit<AiPromptsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new()
        .fixed("deleted_at = now()")
        .fixed("is_active = false");
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let _: Raw<Prompt> = tx.one(query, Code::PromptNotFound).await?;
    tx.record_end(&PROMPT, "prompt.deleted", &before.row);
    let slug = before.facts.slug.clone();
    tx.after_commit(async move {
        active::forget(&slug);
        Ok(())
    });
    permit.commit(tx, NoContent::done()).await
}
