//! `PATCH /api/tax-rates/{id}`

use super::model::{TaxRate, TaxRateChanges};
use super::queries::{COLUMNS, TAX_RATE, all};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, TaxRatesWrite};
use crate::http::reply::Data;

/// Changes a tax rate, for orders that are made from then on.
pub async fn update(
    permit: Permit<TaxRatesWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<TaxRateChanges>>,
) -> Outcome<Data<TaxRate>> {
    let mut tx = permit.begin_once(key).await?;
    let query = all().id(id).lock(COLUMNS);
    let before: Raw<TaxRate> = tx.one(query, Code::TaxRateNotFound).await?;
    let set = Set::new()
        .patch("name = {}", &wanted.name)
        .patch("rate = {}::numeric", &wanted.rate)
        .patch("is_inclusive = {}::boolean", &wanted.is_inclusive)
        .patch("replaces_country = {}::boolean", &wanted.replaces_country)
        .patch(
            "exempt_with_tax_id = {}::boolean",
            &wanted.exempt_with_tax_id,
        )
        .patch("is_active = {}::boolean", &wanted.is_active);
    let query = all()
        .id(id)
        .set(set, COLUMNS)
        .on("tax_rates_active_place_key", Code::TaxRateTaken);
    let after: Raw<TaxRate> = tx.one(query, Code::TaxRateNotFound).await?;
    tx.record_change(&TAX_RATE, "tax_rate.updated", &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}
