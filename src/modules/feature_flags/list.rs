//! `GET /api/feature-flags`

use super::model::{FeatureFlag, TargetType};
use super::queries::COLUMNS;
use crate::db::{containing, sql};
use crate::error::Result;
use crate::http::params::{Query, first_page, offset, page_size};
use crate::http::permit::{FeatureFlagsRead, Permit};
use crate::http::reply::Listing;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "FeatureFlagFilters")]
pub struct Filters {
    /// Part of the key, the name or the description.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
    /// Only flags meant for these.
    pub target_type: Option<TargetType>,
    /// Only flags that are on, or off.
    pub enabled: Option<bool>,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists flags by key.
pub async fn list(
    permit: Permit<FeatureFlagsRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<FeatureFlag>> {
    let search = filters.search.as_deref().filter(|text| !text.is_empty());
    let query = sql(format!(
        "WITH found AS (
           SELECT f.id FROM feature_flags f
           WHERE ($1 IS NULL OR f.flag_key ILIKE $1 OR f.name ILIKE $1 OR f.description ILIKE $1)
             AND ($2 IS NULL OR f.target_type = $2)
             AND ($3 IS NULL OR f.is_enabled = $3::boolean)
         ), page AS (
           SELECT {COLUMNS} FROM found JOIN feature_flags f USING (id)
           ORDER BY f.flag_key COLLATE \"C\" LIMIT $4::bigint OFFSET $5::bigint)
         SELECT json_build_object('total', (SELECT count(*) FROM found),
           'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
    ))
    .bind(search.map(containing))
    .bind(filters.target_type.map(TargetType::as_str))
    .bind(filters.enabled)
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    let found = permit.begin().only_value(query).await?;
    Ok(Listing::new(found, filters.page, filters.per_page))
}
