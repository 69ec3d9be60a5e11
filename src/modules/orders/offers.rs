//! What is for sale, at which price, and by whom.

use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::modules::licenses::model::BillingCycle;
use celaest_domain::billing::money::Currency;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Something for sale.
#[derive(Debug, Clone, Deserialize)]
pub struct Offer {
    /// The product; none for a plan.
    pub product_id: Option<Uuid>,
    /// The plan of the licenses that it gives.
    pub plan_id: Option<Uuid>,
    /// Who sells.
    pub seller_id: Uuid,
    /// What it is called.
    pub name: String,
    /// Price of one, in major units.
    pub price: String,
    /// Of the price.
    pub currency: Currency,
    /// How often it is paid.
    pub cycle: BillingCycle,
}

impl Offer {
    /// The price in minor units.
    ///
    /// # Errors
    /// 422 when the price is no amount of the currency, which the seller has to mend.
    pub fn unit_price(&self, currency: Currency) -> Result<i64> {
        let price = currency.minor(&self.price).filter(|_| currency.is_known());
        price.ok_or_else(|| Error::field("items", "has a price that is no amount of its currency"))
    }
}

/// The published products with these ids.
///
/// # Errors
/// When the database fails.
pub async fn products(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Offer>> {
    tx.rows(
        sql("SELECT c.product_id, c.plan_id, c.vendor_id AS seller_id, c.name, c.price::text, c.currency,
               CASE WHEN c.is_subscription THEN c.billing_cycle ELSE 'lifetime' END AS cycle
             FROM catalogue_products c
             WHERE c.product_id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))")
        .bind(json!(ids)),
    )
    .await
}

/// One published product.
///
/// # Errors
/// When the database fails.
pub async fn product(tx: &mut Tx, id: Uuid) -> Result<Option<Offer>> {
    Ok(products(tx, &[id]).await?.into_iter().next())
}

/// A plan that is offered, as the platform sells it by the month or by the year.
///
/// # Errors
/// When the database fails.
pub async fn plan(
    tx: &mut Tx,
    seller: Uuid,
    id: Uuid,
    cycle: BillingCycle,
) -> Result<Option<Offer>> {
    tx.row(
        sql("SELECT NULL::uuid AS product_id, p.id AS plan_id, $2::uuid AS seller_id, p.name,
               CASE $3 WHEN 'monthly' THEN p.price_monthly WHEN 'yearly' THEN p.price_yearly END::text AS price,
               p.currency, $3 AS cycle
             FROM subscription_plans p
             WHERE p.id = $1::uuid AND p.is_active AND p.is_public
               AND CASE $3 WHEN 'monthly' THEN p.price_monthly WHEN 'yearly' THEN p.price_yearly END IS NOT NULL")
        .bind(id)
        .bind(seller)
        .bind(cycle),
    )
    .await
}
