//! `GET /api/organizations`

use super::model::Organization;
use super::queries::{COLUMNS, MINE, mine};
use crate::db::containing;
use crate::error::Result;
use crate::http::params::{Query, first_page, offset, page_size};
use crate::http::permit::{OrganizationsRead, Permit};
use crate::http::reply::Listing;
use crate::http::types::Order;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Columns to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OrganizationSort")]
pub enum Sort {
    /// Founding.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
    /// Name.
    Name,
    /// Name in links.
    Slug,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Sort::CreatedAt => "o.created_at",
            Sort::UpdatedAt => "o.updated_at",
            Sort::Name => "lower(o.name)",
            Sort::Slug => "o.slug",
        }
    }
}

/// Filters, sorting and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "OrganizationFilters")]
pub struct Filters {
    /// Part of the name, of the name in links or of the e-mail address.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
    /// Column to sort by.
    #[serde(default)]
    pub sort: Sort,
    /// Direction.
    #[serde(default)]
    pub order: Order,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists the caller's organization; for super_admin, every one.
pub async fn list(
    permit: Permit<OrganizationsRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<Organization>> {
    let tx = permit.begin();
    let (column, order) = (filters.sort.column(), filters.order.sql());
    let query = mine(
        &tx,
        format!(
            "WITH found AS (
               SELECT o.id, {column} AS sorted FROM organizations o
               WHERE {MINE} AND ($2 IS NULL OR o.name ILIKE $2 OR o.slug ILIKE $2 OR o.email ILIKE $2)
             ), page AS (
               SELECT {COLUMNS} FROM found f JOIN organizations o USING (id)
               ORDER BY f.sorted {order}, o.id {order} LIMIT $3::bigint OFFSET $4::bigint)
             SELECT json_build_object('total', (SELECT count(*) FROM found),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    )
    .bind(filters.search.as_deref().filter(|text| !text.is_empty()).map(containing))
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    Ok(Listing::new(
        tx.only_value(query).await?,
        filters.page,
        filters.per_page,
    ))
}
