//! `GET /api/licenses/{id}/ips`

use super::model::Binding;
use super::queries::{self, BINDING_COLUMNS};
use super::slots;
use crate::db::Listing;
use crate::error::Result;
use crate::http::params::{Id, Paged};
use crate::http::permit::{LicensesRead, Permit};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "BindingFilters")]
pub struct Filters {
    /// Only those that hold a slot, or only those that don't.
    pub is_active: Option<bool>,
}

/// Lists the addresses of a license, those that validations bound a moment ago included.
pub async fn ips(
    permit: Permit<LicensesRead>,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Binding>> {
    let mut tx = permit.begin();
    let license = queries::peek(&mut tx, id).await?;
    slots::mirror(&permit.call, &mut tx, &license).await?;
    let found = license
        .owns("license_ip_bindings", "b")
        .when("b.is_active = {}::boolean", f.is_active);
    tx.page(found, BINDING_COLUMNS, "b.first_seen_at {}, b.id {}", &page)
        .await
}
