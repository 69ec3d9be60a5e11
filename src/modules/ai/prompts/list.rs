//! `GET /api/ai/prompts`

use super::model::Prompt;
use super::queries::{COLUMNS, usable};
use crate::db::{Bind, Listing, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{AiPromptsRead, Permit};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Whose prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PromptOwner")]
pub enum Owner {
    /// The organization's own.
    Organization,
    /// The platform's, which everybody may use.
    Platform,
}

impl Bind for Owner {
    fn text(&self) -> Option<String> {
        Some((*self == Self::Platform).to_string())
    }
}

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PromptFilters")]
pub struct Filters {
    /// Only versions of this prompt.
    #[garde(length(chars, max = 100))]
    pub slug: Option<String>,
    /// Only this category.
    #[garde(length(chars, max = 50))]
    pub category: Option<String>,
    /// Only with this tag.
    #[garde(length(chars, max = 50))]
    pub tag: Option<String>,
    /// Only versions that serve calls, or only the others.
    pub is_active: Option<bool>,
    /// Only the newest version of each prompt, or only the older ones.
    pub latest: Option<bool>,
    /// Only the organization's own, or only the platform's.
    pub owner: Option<Owner>,
    /// Part of the slug, the name or the description.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
}

/// Lists versions of prompts by slug, the newest of each first.
pub async fn list(
    permit: Permit<AiPromptsRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Prompt>> {
    let tx = permit.begin();
    let found = usable(&tx)
        .when("p.slug = {}", f.slug)
        .when("p.category = {}", f.category)
        .when("p.tags @> ARRAY[{}]", f.tag)
        .when("p.is_active = {}::boolean", f.is_active)
        .when("(p.organization_id IS NULL) = {}::boolean", f.owner)
        .when(
            "NOT EXISTS (SELECT FROM prompts_master n WHERE n.slug = p.slug AND n.version > p.version
               AND n.organization_id IS NOT DISTINCT FROM p.organization_id AND n.deleted_at IS NULL) = {}::boolean",
            f.latest,
        )
        .when(
            "(p.slug ILIKE {} OR p.name ILIKE {} OR p.description ILIKE {})",
            containing(f.search.as_deref()),
        );
    let by = r#"p.slug COLLATE "C" {}, p.organization_id, p.version DESC"#;
    tx.page(found, COLUMNS, by, &page.rising()).await
}
