//! `GET /api/licenses`

use super::model::{License, Status};
use super::queries::{COLUMNS, MINE, mine};
use crate::db::containing;
use crate::error::Result;
use crate::http::params::{Query, first_page, offset, page_size};
use crate::http::permit::{LicensesRead, Permit};
use crate::http::reply::Listing;
use crate::http::types::{Moment, Order};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Columns to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LicenseSort")]
pub enum Sort {
    /// Creation.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
    /// Expiry.
    ExpiresAt,
    /// Start.
    StartsAt,
    /// Status, in the order of the enum.
    Status,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Sort::CreatedAt => "created_at",
            Sort::UpdatedAt => "updated_at",
            Sort::ExpiresAt => "expires_at",
            Sort::StartsAt => "starts_at",
            Sort::Status => "status",
        }
    }
}

/// Filters, sorting and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "LicenseFilters")]
pub struct Filters {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this product.
    pub product_id: Option<Uuid>,
    /// Only this plan.
    pub plan_id: Option<Uuid>,
    /// Only this holder.
    pub owner_id: Option<Uuid>,
    /// Created at or after.
    pub created_after: Option<Moment>,
    /// Created before.
    pub created_before: Option<Moment>,
    /// Expiring at or after.
    pub expires_after: Option<Moment>,
    /// Expiring before.
    pub expires_before: Option<Moment>,
    /// Part of the key, the notes or the holder's e-mail address.
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

/// Lists the caller's licenses.
pub async fn list(
    permit: Permit<LicensesRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<License>> {
    let tx = permit.begin();
    let (column, order) = (filters.sort.column(), filters.order.sql());
    let query = mine(
        &tx,
        format!(
            "WITH found AS (
               SELECT l.id, l.{column} AS sorted FROM licenses l
               WHERE {MINE}
                 AND ($3 IS NULL OR l.status = $3::license_status)
                 AND ($4 IS NULL OR l.product_id = $4::uuid)
                 AND ($5 IS NULL OR l.plan_id = $5::uuid)
                 AND ($6 IS NULL OR l.owner_id = $6::uuid)
                 AND ($7 IS NULL OR l.created_at >= $7::timestamptz)
                 AND ($8 IS NULL OR l.created_at < $8::timestamptz)
                 AND ($9 IS NULL OR l.expires_at >= $9::timestamptz)
                 AND ($10 IS NULL OR l.expires_at < $10::timestamptz)
                 AND ($11 IS NULL OR l.license_key ILIKE $11
                   OR (app_owner_id() IS NULL AND l.notes ILIKE $11)
                   OR EXISTS (SELECT 1 FROM users_profile u WHERE u.id = l.owner_id AND u.email ILIKE $11))
             ), page AS (
               SELECT {COLUMNS} FROM found f JOIN licenses l USING (id)
               ORDER BY f.sorted {order} NULLS LAST, l.id {order} LIMIT $12::bigint OFFSET $13::bigint)
             SELECT json_build_object('total', (SELECT count(*) FROM found),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    )
    .bind(filters.status.map(Status::as_str))
    .bind(filters.product_id)
    .bind(filters.plan_id)
    .bind(filters.owner_id)
    .bind(filters.created_after.map(|at| at.0))
    .bind(filters.created_before.map(|at| at.0))
    .bind(filters.expires_after.map(|at| at.0))
    .bind(filters.expires_before.map(|at| at.0))
    .bind(filters.search.as_deref().filter(|text| !text.is_empty()).map(containing))
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    Ok(Listing::new(
        tx.only_value(query).await?,
        filters.page,
        filters.per_page,
    ))
}
