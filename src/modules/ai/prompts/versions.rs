//! `GET` and `POST /api/ai/prompts/{id}/versions`

use super::active;
use super::model::{Prompt, PromptChanges};
use super::queries::{self, COLUMNS, MAX_VERSIONS, PROMPT, checked, mine, usable};
use super::wording;
use crate::db::{Listing, Raw, sql};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Paged};
use crate::http::permit::{AiPromptsRead, AiPromptsWrite, Permit};
use crate::http::reply::Created;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PromptVersionFilters")]
pub struct Filters {
    /// Only versions that serve calls, or only the others.
    pub is_active: Option<bool>,
}

/// What all versions of a prompt have in common.
#[derive(Deserialize)]
struct Name {
    slug: String,
    organization_id: Option<Uuid>,
}

/// Lists the versions of a prompt with what was measured of each, the newest first.
pub async fn list(
    permit: Permit<AiPromptsRead>,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Prompt>> {
    let mut tx = permit.begin();
    let query = usable(&tx).id(id).read("p.slug, p.organization_id");
    let of: Name = tx.one(query, Code::PromptNotFound).await?;
    let found = usable(&tx)
        .when("p.slug = {}", Some(of.slug))
        .when("p.organization_id = {}::uuid", of.organization_id)
        .when(
            "(p.organization_id IS NULL) = {}::boolean",
            Some(of.organization_id.is_none()),
        )
        .when("p.is_active = {}::boolean", f.is_active);
    tx.page(found, COLUMNS, "p.version {}", &page).await
}

/// Makes a new version of a prompt from another one.
pub async fn create(
    permit: Permit<AiPromptsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<PromptChanges>>,
) -> Outcome<Created<Prompt>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let variables = wording::after(&mut tx, &before.facts, &wanted).await?;
    let scope = tx.scope().organization();
    let made: Option<Uuid> = tx
        .value(
            sql("WITH last AS (
                   SELECT max(n.version) AS version, count(*) FILTER (WHERE n.deleted_at IS NULL) AS alive
                   FROM prompts_master n JOIN prompts_master p
                     ON n.slug = p.slug AND n.organization_id IS NOT DISTINCT FROM p.organization_id
                   WHERE p.id = $1::uuid AND ($3::uuid IS NULL OR p.organization_id = $3::uuid)
                 ), made AS (
                   INSERT INTO prompts_master (organization_id, slug, version, parent_id, name, description, category,
                     subcategory, system_prompt, user_prompt_template, variables, preferred_model_id, temperature,
                     max_tokens, top_p, is_active, weight, tags, metadata)
                   SELECT p.organization_id, p.slug, last.version + 1, p.id, p.name, p.description, p.category,
                     p.subcategory, p.system_prompt, p.user_prompt_template, p.variables, p.preferred_model_id, p.temperature,
                     p.max_tokens, p.top_p, false, p.weight, p.tags, p.metadata
                   FROM prompts_master p, last
                   WHERE p.id = $1::uuid AND ($3::uuid IS NULL OR p.organization_id = $3::uuid)
                     AND last.alive < $2::integer
                   RETURNING id)
                 SELECT to_json((SELECT id FROM made))::text")
            .bind(id)
            .bind(MAX_VERSIONS)
            .bind(scope),
        )
        .await?;
    let made = made.ok_or(Code::PromptVersionLimit)?;
    let set = queries::assignments(&wanted, variables);
    let query = checked(mine(&tx).id(made).set(set, COLUMNS));
    let prompt: Raw<Prompt> = tx.one(query, Code::PromptNotFound).await?;
    if wanted.is_active.value() == Some(&true) {
        queries::deactivate_others(&mut tx, &queries::facts(&prompt)?).await?;
    }
    tx.record_new(&PROMPT, "prompt.version_created", &prompt);
    let slug = before.facts.slug.clone();
    tx.after_commit(async move {
        active::forget(&slug);
        Ok(())
    });
    permit.commit(tx, Created::raw(&prompt)).await
}
