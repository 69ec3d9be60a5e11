//! `POST /api/ai/prompts`

use super::active;
use super::model::{NewPrompt, Prompt};
use super::queries::{COLUMNS, PROMPT, TAGS, checked, decimal};
use super::wording;
use crate::db::{Raw, Scope, Set, sql};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AiPromptsWrite, Permit};
use crate::http::reply::Created;
use serde_json::json;

/// Makes a prompt: its first version.
pub async fn create(
    permit: Permit<AiPromptsWrite>,
    Once(key, Body(new)): Once<Body<NewPrompt>>,
) -> Outcome<Created<Prompt>> {
    let owner = match (new.shared, permit.scope()) {
        (false, _) => Some(permit.organization(new.organization_id.map(|id| id.0))?),
        (true, Scope::System) if new.organization_id.is_none() => None,
        (true, _) => return Err(Error::field("shared", "is only for super_admin").into()),
    };
    let declared = new.variables.as_deref();
    let template = new.user_prompt_template.as_deref();
    let mut tx = permit.begin_once(key).await?;
    let texts = wording::read(&mut tx, owner, &new.slug, &new.system_prompt, template).await?;
    let variables = wording::variables(&texts, declared)?;
    let scope = tx.scope().organization();
    // A prompt that was deleted goes on counting: its versions are still what was measured of them.
    let next: Option<i64> = tx
        .value(
            sql("SELECT to_json(CASE WHEN count(*) FILTER (WHERE deleted_at IS NULL) = 0
                   THEN coalesce(max(version), 0) + 1 END)::text
                 FROM prompts_master p WHERE p.slug = $1 AND p.organization_id IS NOT DISTINCT FROM $2::uuid
                   AND ($3::uuid IS NULL OR p.organization_id = $3::uuid)")
            .bind(&new.slug)
            .bind(owner)
            .bind(scope),
        )
        .await?;
    let next = next.ok_or(Code::PromptSlugTaken)?;
    let set = Set::new()
        .to("organization_id = {}::uuid", owner)
        .to("slug = {}", &new.slug)
        .to("version = {}::integer", next)
        .to("name = {}", &new.name)
        .to("description = {}", new.description.as_deref())
        .to("category = {}", &new.category)
        .to("subcategory = {}", new.subcategory.as_deref())
        .to("system_prompt = {}", &new.system_prompt)
        .to("user_prompt_template = {}", template)
        .to("variables = {}::jsonb", json!(variables))
        .to("preferred_model_id = {}::uuid", new.preferred_model_id)
        .when("temperature = {}::numeric", new.temperature.map(decimal))
        .when("max_tokens = {}::integer", new.max_tokens)
        .when("top_p = {}::numeric", new.top_p.map(decimal))
        .to("is_active = {}::boolean", new.is_active)
        .to(TAGS, json!(new.tags))
        .to("notes = {}", new.notes.as_deref())
        .to("metadata = {}::jsonb", json!(new.metadata));
    let query = checked(set.insert("prompts_master", "p", COLUMNS)).on(
        "prompts_master_organization_id_fkey",
        Error::field("organization_id", "does not exist"),
    );
    let prompt: Raw<Prompt> = tx.one(query, Code::Internal).await?;
    tx.record_new(&PROMPT, "prompt.created", &prompt);
    let slug = new.slug.clone();
    tx.after_commit(async move {
        active::forget(&slug);
        Ok(())
    });
    permit.commit(tx, Created::raw(&prompt)).await
}
