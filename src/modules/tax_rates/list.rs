//! `GET /api/tax-rates`

use super::model::TaxRate;
use super::queries::{COLUMNS, all};
use crate::db::Listing;
use crate::error::Result;
use crate::http::checks;
use crate::http::params::Paged;
use crate::http::permit::{Permit, TaxRatesRead};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "TaxRateFilters")]
pub struct Filters {
    /// Of one country.
    #[garde(custom(checks::country))]
    pub country_code: Option<String>,
    /// Only those that are charged, or only the others.
    pub is_active: Option<bool>,
}

/// Lists tax rates, by place.
pub async fn list(
    permit: Permit<TaxRatesRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<TaxRate>> {
    let found = all()
        .when("t.country_code = {}", f.country_code.as_deref())
        .when("t.is_active = {}::boolean", f.is_active);
    permit
        .begin()
        .page(
            found,
            COLUMNS,
            "t.country_code {}, t.state {}, t.id {}",
            &page.rising(),
        )
        .await
}
