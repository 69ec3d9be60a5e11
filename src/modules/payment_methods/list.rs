//! `GET /api/payment-methods`

use super::model::PaymentMethod;
use super::queries::{COLUMNS, mine};
use crate::db::Listing;
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{PaymentMethodsRead, Permit};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Nothing to filter by.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PaymentMethodFilters")]
pub struct Filters {}

/// Lists the saved cards of the organization; to a client their own, the newest first.
pub async fn list(
    permit: Permit<PaymentMethodsRead>,
    Paged(Filters {}, page): Paged<Filters>,
) -> Result<Listing<PaymentMethod>> {
    let tx = permit.begin();
    let found = mine(&tx);
    tx.page(found, COLUMNS, "m.created_at {}, m.id {}", &page)
        .await
}
