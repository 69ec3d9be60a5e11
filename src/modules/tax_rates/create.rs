//! `POST /api/tax-rates`

use super::model::{NewTaxRate, TaxRate};
use super::queries::{COLUMNS, TAX_RATE};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, TaxRatesWrite};
use crate::http::reply::Created;

/// Makes a tax rate.
pub async fn create(
    permit: Permit<TaxRatesWrite>,
    Once(key, Body(new)): Once<Body<NewTaxRate>>,
) -> Outcome<Created<TaxRate>> {
    let mut tx = permit.begin_once(key).await?;
    let query = Set::new()
        .to("name = {}", &new.name)
        .to("code = {}", &new.code)
        .to("rate = {}::numeric", new.rate)
        .to("country_code = {}", &new.country_code)
        .to("state = {}", new.state.as_deref())
        .to("is_inclusive = {}::boolean", new.is_inclusive)
        .to("replaces_country = {}::boolean", new.replaces_country)
        .to("exempt_with_tax_id = {}::boolean", new.exempt_with_tax_id)
        .insert("tax_rates", "t", COLUMNS)
        .on("tax_rates_code_key", Code::TaxRateTaken)
        .on("tax_rates_active_place_key", Code::TaxRateTaken);
    let rate: Raw<TaxRate> = tx.one(query, Code::Internal).await?;
    tx.record_new(&TAX_RATE, "tax_rate.created", &rate);
    permit.commit(tx, Created::raw(&rate)).await
}
