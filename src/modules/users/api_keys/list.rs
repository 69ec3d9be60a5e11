//! `GET /api/users/{id}/api-keys`

use super::queries::{COLUMNS, MINE, of};
use crate::error::Result;
use crate::http::params::{Query, first_page, offset, page_size};
use crate::http::permit::{AccountRead, ApiKeysRead, Over};
use crate::http::reply::Listing;
use crate::modules::users::model::ApiKey;
use crate::modules::users::queries;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ApiKeyFilters")]
pub struct Filters {
    /// Only keys that begin like this.
    #[garde(length(chars, max = 20))]
    pub prefix: Option<String>,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists a person's API keys, the latest first; deleted ones are not listed.
pub async fn list(
    over: Over<AccountRead, ApiKeysRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<ApiKey>> {
    let mut tx = over.begin();
    queries::peek(&mut tx, over.person).await?;
    let query = of(
        &tx,
        over.person,
        format!(
            "WITH found AS (
               SELECT k.id FROM user_api_keys k WHERE {MINE} AND ($3 IS NULL OR starts_with(k.key_prefix, $3))
             ), page AS (
               SELECT {COLUMNS} FROM found f JOIN user_api_keys k USING (id)
               ORDER BY k.created_at DESC, k.id LIMIT $4::bigint OFFSET $5::bigint)
             SELECT json_build_object('total', (SELECT count(*) FROM found),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    )
    .bind(filters.prefix.as_deref())
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    Ok(Listing::new(
        tx.only_value(query).await?,
        filters.page,
        filters.per_page,
    ))
}
