//! `GET /api/plans`

use super::model::Plan;
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{Permit, PlansRead};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PlanFilters")]
pub struct Filters {
    /// Only those for which licenses are made, or only the others.
    pub is_active: Option<bool>,
    /// Part of the code or the name.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
}

/// Lists the plans that are offered, in their order; for super_admin, every one.
pub async fn list(
    permit: Permit<PlansRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Plan>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .when("p.is_active = {}::boolean", f.is_active)
        .when(
            "(p.code ILIKE {} OR p.name ILIKE {})",
            containing(f.search.as_deref()),
        );
    tx.page(found, COLUMNS, "p.sort_order {}, p.code {}", &page.rising())
        .await
}
