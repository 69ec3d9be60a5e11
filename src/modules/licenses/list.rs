//! `GET /api/licenses`

use super::model::{License, Status};
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{LicensesRead, Permit};
use crate::http::types::{Ident, Moment};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

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
    fn by(self) -> &'static str {
        match self {
            Sort::CreatedAt => "l.created_at {}, l.id {}",
            Sort::UpdatedAt => "l.updated_at {}, l.id {}",
            Sort::ExpiresAt => "l.expires_at {} NULLS LAST, l.id {}",
            Sort::StartsAt => "l.starts_at {}, l.id {}",
            Sort::Status => "l.status {}, l.id {}",
        }
    }
}

/// Filters and sorting.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "LicenseFilters")]
pub struct Filters {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this product.
    pub product_id: Option<Ident>,
    /// Only this plan.
    pub plan_id: Option<Ident>,
    /// Only this holder.
    pub owner_id: Option<Ident>,
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
}

/// Lists the caller's licenses.
pub async fn list(
    permit: Permit<LicensesRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<License>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .when("l.status = {}::license_status", f.status.map(Status::as_str))
        .when("l.product_id = {}::uuid", f.product_id)
        .when("l.plan_id = {}::uuid", f.plan_id)
        .when("l.owner_id = {}::uuid", f.owner_id)
        .when("l.created_at >= {}::timestamptz", f.created_after)
        .when("l.created_at < {}::timestamptz", f.created_before)
        .when("l.expires_at >= {}::timestamptz", f.expires_after)
        .when("l.expires_at < {}::timestamptz", f.expires_before)
        .when(
            "(l.license_key ILIKE {} OR (app_owner_id() IS NULL AND l.notes ILIKE {})
              OR EXISTS (SELECT 1 FROM users_profile u WHERE u.id = l.owner_id AND u.email ILIKE {}))",
            containing(f.search.as_deref()),
        );
    tx.page(found, COLUMNS, f.sort.by(), &page).await
}
