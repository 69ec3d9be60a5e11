//! The SQL of prompts. A tenant reads its own and the platform's, and changes its own; the platform's are the
//! super administrator's.

use super::model::{Prompt, PromptChanges};
use crate::db::facts::Subject;
use crate::db::{Query, Raw, Rows, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::types::Patch;
use celaest_domain::json;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Versions that a prompt may have.
pub const MAX_VERSIONS: usize = 500;

/// The columns of [`Prompt`], from alias `p`.
pub const COLUMNS: &str =
    "p.id, p.organization_id, p.slug, p.version, p.parent_id, p.name, p.description, p.category, p.subcategory,
    p.system_prompt, p.user_prompt_template, p.variables, p.preferred_model_id, p.temperature, p.max_tokens, p.top_p,
    p.is_active, p.weight, p.usage_count, p.success_rate, p.avg_response_time_ms, coalesce(p.tags, '{}') AS tags,
    p.notes, p.metadata, p.created_at, p.updated_at";

/// Assignments from JSON.
pub const TAGS: &str = "tags = ARRAY(SELECT jsonb_array_elements_text({}::jsonb))";

/// What the log learns of a prompt: that its texts changed, not what they are. Nobody outside is told.
pub const PROMPT: Subject = Subject {
    kind: "prompt",
    tenant: "organization_id",
    secret: &["system_prompt", "user_prompt_template"],
    told: None,
};

/// The versions that the caller may change.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("prompts_master", "p")
        .when("p.organization_id = {}::uuid", tx.scope().organization())
        .only("p.deleted_at IS NULL")
}

/// The versions that the caller may use: the own ones and the platform's.
pub fn usable(tx: &Tx) -> Rows {
    Rows::of("prompts_master", "p")
        .when(
            "(p.organization_id = {}::uuid OR p.organization_id IS NULL)",
            tx.scope().organization(),
        )
        .only("p.deleted_at IS NULL")
}

/// The parts of a version that rules look at.
#[derive(Debug, Deserialize)]
pub struct Facts {
    /// Identifier.
    pub id: Uuid,
    /// Whose it is; none for the platform's.
    pub organization_id: Option<Uuid>,
    /// Its name for programs.
    pub slug: String,
    /// Counted from 1.
    pub version: i64,
    /// What the model is told first.
    pub system_prompt: String,
    /// What it is asked.
    pub user_prompt_template: Option<String>,
    /// The variables of both.
    pub variables: Vec<String>,
}

/// A version whose row is held, and with it every other of its prompt.
pub struct Locked {
    /// The row.
    pub row: Raw<Prompt>,
    /// The parts.
    pub facts: Facts,
}

/// What rules look at of a row.
///
/// # Errors
/// When it is not what it must be.
pub fn facts(row: &Raw<Prompt>) -> Result<Facts> {
    json::read(row.text()).map_err(Error::internal)
}

/// Reads a version and holds it and the other versions of its prompt until the transaction ends, so that who
/// is active and what the next number is changes one by one.
///
/// # Errors
/// 404; 403 for the platform's, which a tenant sees and does not change.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let hold = sql("WITH held AS (
           SELECT p.id FROM prompts_master p JOIN prompts_master o
             ON o.slug = p.slug AND o.organization_id IS NOT DISTINCT FROM p.organization_id
           WHERE o.id = $1::uuid AND ($2::uuid IS NULL OR o.organization_id = $2::uuid)
           ORDER BY p.version FOR NO KEY UPDATE OF p)
         SELECT to_json(count(*))::text FROM held");
    let scope = tx.scope().organization();
    let _: u64 = tx.value(hold.bind(id).bind(scope)).await?;
    let row: Option<Raw<Prompt>> = tx.row(mine(tx).id(id).read(COLUMNS)).await?;
    match row {
        Some(row) => Ok(Locked {
            facts: facts(&row)?,
            row,
        }),
        None => {
            // Whoever may see it is told why not.
            let seen: u64 = tx.value(usable(tx).id(id).count()).await?;
            Err(match seen {
                0 => Code::PromptNotFound.into(),
                _ => Error::new(Code::Forbidden).with_details(json!({ "owner": "platform" })),
            })
        }
    }
}

/// Makes the other active versions of a prompt inactive.
///
/// # Errors
/// When the database refuses.
pub async fn deactivate_others(tx: &mut Tx, of: &Facts) -> Result<()> {
    let query = sql(
        "UPDATE prompts_master p SET is_active = false
         WHERE p.slug = $1 AND p.organization_id IS NOT DISTINCT FROM $2::uuid AND p.id <> $3::uuid
           AND ($4::uuid IS NULL OR p.organization_id = $4::uuid) AND p.is_active AND p.deleted_at IS NULL",
    );
    let scope = tx.scope().organization();
    let query = query.bind(&of.slug).bind(of.organization_id);
    tx.execute(query.bind(of.id).bind(scope)).await
}

/// Whether a call was served by a version, or is waiting for it.
///
/// # Errors
/// When the database fails.
pub async fn is_used(tx: &mut Tx, id: Uuid) -> Result<bool> {
    let scope = tx.scope().organization();
    tx.value(
        sql("SELECT to_json(EXISTS (SELECT FROM prompts_master p WHERE p.id = $1::uuid AND p.usage_count > 0
                 AND ($2::uuid IS NULL OR p.organization_id = $2::uuid))
               OR EXISTS (SELECT FROM processed_tasks t WHERE t.prompt_id = $1::uuid
                 AND ($2::uuid IS NULL OR t.organization_id = $2::uuid)))::text")
        .bind(id)
        .bind(scope),
    )
    .await
}

/// What the changes of a version assign; `wording` says what its texts are then.
pub fn assignments(wanted: &PromptChanges, variables: Option<Vec<String>>) -> Set {
    Set::new()
        .patch("name = {}", &wanted.name)
        .patch("description = {}", &wanted.description)
        .patch("category = {}", &wanted.category)
        .patch("subcategory = {}", &wanted.subcategory)
        .patch("system_prompt = {}", &wanted.system_prompt)
        .patch("user_prompt_template = {}", &wanted.user_prompt_template)
        .when("variables = {}::jsonb", variables.map(|names| json!(names)))
        .patch("preferred_model_id = {}::uuid", &wanted.preferred_model_id)
        .patch("temperature = {}::numeric", &number(&wanted.temperature))
        .patch("max_tokens = {}::integer", &wanted.max_tokens)
        .patch("top_p = {}::numeric", &number(&wanted.top_p))
        .patch("is_active = {}::boolean", &wanted.is_active)
        .patch("weight = {}::integer", &wanted.weight)
        .patch_json(TAGS, &wanted.tags)
        .patch("notes = {}", &wanted.notes)
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata)
}

/// Two decimals, as the column has them.
pub fn decimal(value: f64) -> String {
    format!("{value:.2}")
}

fn number(patch: &Patch<f64>) -> Patch<String> {
    match patch {
        Patch::Absent => Patch::Absent,
        Patch::Null => Patch::Null,
        Patch::Value(value) => Patch::Value(decimal(*value)),
    }
}

/// The constraints that the caller can break.
pub fn checked(query: Query) -> Query {
    query
        .on("prompts_master_slug_version_key", Code::PromptSlugTaken)
        .on(
            "prompts_master_preferred_model_id_fkey",
            Error::field("preferred_model_id", "does not exist"),
        )
}
