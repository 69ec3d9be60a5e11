//! `GET /api/coupons`

use super::model::Coupon;
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{CouponsWrite, Permit};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "CouponFilters")]
pub struct Filters {
    /// Only those that were not switched off, or only the others.
    pub is_active: Option<bool>,
    /// Part of the code or the description.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
}

/// Lists the coupons of the organization, the newest first.
pub async fn list(
    permit: Permit<CouponsWrite>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Coupon>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .when("c.is_active = {}::boolean", f.is_active)
        .when(
            "(c.code ILIKE {} OR c.description ILIKE {})",
            containing(f.search.as_deref()),
        );
    tx.page(found, COLUMNS, "c.created_at {}, c.id {}", &page)
        .await
}
