//! `GET /api/licenses/{id}/ips`

use super::edge;
use super::model::Binding;
use super::queries::{self, BINDING_COLUMNS};
use crate::db::sql;
use crate::error::Result;
use crate::http::params::{Id, Query, first_page, offset, page_size};
use crate::http::permit::{LicensesRead, Permit};
use crate::http::reply::Listing;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "BindingFilters")]
pub struct Filters {
    /// Only those that hold a slot, or only those that don't.
    pub is_active: Option<bool>,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists the addresses of a license, those that validations bound a moment ago included.
pub async fn ips(
    permit: Permit<LicensesRead>,
    Id(id): Id,
    Query(filters): Query<Filters>,
) -> Result<Listing<Binding>> {
    let mut tx = permit.begin();
    let license = queries::peek(&mut tx, id).await?;
    edge::mirror(&permit.call, &mut tx, &license).await?;
    let found = tx
        .value(
            sql(format!(
                "WITH found AS (
                   SELECT {BINDING_COLUMNS} FROM license_ip_bindings b
                   WHERE b.license_id = $1::uuid AND b.organization_id = $2::uuid
                     AND ($3 IS NULL OR b.is_active = $3::boolean)
                 ), page AS (
                   SELECT * FROM found ORDER BY first_seen_at DESC, id LIMIT $4::bigint OFFSET $5::bigint)
                 SELECT json_build_object('total', (SELECT count(*) FROM found),
                   'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
            ))
            .bind(license.id)
            .bind(license.organization_id)
            .bind(filters.is_active)
            .bind(filters.per_page)
            .bind(offset(filters.page, filters.per_page)),
        )
        .await?;
    permit.commit(tx).await?;
    Ok(Listing::new(found, filters.page, filters.per_page))
}
