//! The SQL of plans.

use super::model::{Plan, Price};
use crate::db::facts::Subject;
use crate::db::{Bind, Raw, Rows, Tx};
use crate::error::{Code, Error, Result};
use crate::http::checks::NO_CURRENCY;
use celaest_domain::billing::money::Currency;
use uuid::Uuid;

/// The columns of [`Plan`], from alias `p`.
pub const COLUMNS: &str =
    "p.id, p.code, p.name, p.description, p.price_monthly, p.price_yearly, p.currency, p.limits,
    p.features, p.is_active, p.is_public, p.sort_order, p.created_at, p.updated_at";

/// What the log learns of a plan. It is nobody's, so nobody outside is told.
pub const PLAN: Subject = Subject {
    kind: "plan",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The plans that the caller sees: those that are offered; for a super administrator all.
pub fn mine(tx: &Tx) -> Rows {
    let rows = Rows::of("subscription_plans", "p");
    match tx.scope().organization() {
        Some(_) => rows.only("p.is_active AND p.is_public"),
        None => rows,
    }
}

/// Reads one plan and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Raw<Plan>> {
    let query = mine(tx).id(id).lock(COLUMNS);
    tx.one(query, Code::PlanNotFound).await
}

/// Checks that prices, by the names of their fields, can be paid in a currency.
///
/// # Errors
/// 422 naming the field: the currency is none, or a price is no amount of it.
pub fn are_payable(currency: &str, prices: &[(&str, Option<Price>)]) -> Result<()> {
    let known = Currency::parse(currency).filter(Currency::is_known);
    let currency = known.ok_or_else(|| Error::field("currency", NO_CURRENCY))?;
    for (field, price) in prices {
        let text = price.and_then(|price| price.text());
        if text.is_some_and(|text| currency.minor(&text).is_none()) {
            return Err(Error::field(field, "is no amount of the currency"));
        }
    }
    Ok(())
}
