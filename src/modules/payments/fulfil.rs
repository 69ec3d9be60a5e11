//! An order is paid: everything that follows, in the transaction that says so.

use super::mails;
use crate::config::Config;
use crate::db::{Raw, Rows, Set, Tx, sql};
use crate::error::{Error, Result};
use crate::modules::assets::queries::{Grant, grant};
use crate::modules::invoices::issue;
use crate::modules::licenses::model::BillingCycle;
use crate::modules::licenses::sold::{self, Sold};
use crate::modules::orders::model::{Kind, Order};
use crate::modules::orders::queries::{COLUMNS, Locked, record};
use crate::modules::subscriptions;
use celaest_domain::calendar;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// How it was paid.
pub struct Paid<'a> {
    /// The gateway's code; none where there was nothing to pay.
    pub gateway: Option<&'a str>,
    /// What the gateway calls the payment.
    pub transaction: Option<&'a str>,
}

/// A line with what it gives.
#[derive(Debug, Deserialize)]
pub struct Item {
    /// Identifier.
    pub id: Uuid,
    /// The product.
    pub product_id: Option<Uuid>,
    /// Its code, for keys.
    pub product_code: Option<String>,
    /// The plan of the licenses.
    pub plan_id: Option<Uuid>,
    /// What it is called.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// Price of one, in major units.
    pub unit_price: String,
    /// How often it is paid.
    pub billing_cycle: BillingCycle,
}

/// The lines of an order.
///
/// # Errors
/// When the database fails.
pub async fn items(tx: &mut Tx, order: Uuid) -> Result<Vec<Item>> {
    tx.rows(
        sql("SELECT i.id, i.product_id, p.code AS product_code, i.plan_id, i.name, i.quantity, i.unit_price::text AS unit_price,
               i.billing_cycle
             FROM order_items i LEFT JOIN products p ON p.id = i.product_id
             WHERE i.order_id = $1::uuid ORDER BY i.position, i.id")
        .bind(order),
    )
    .await
}

/// Completes an order that is held: gives what was bought, issues the invoice, and tells everybody. An order that
/// is completed already stays as it is. Returns the keys of the licenses that changed.
///
/// # Errors
/// When the database fails; nothing remains then.
pub async fn complete(
    tx: &mut Tx,
    config: &Config,
    order: &Locked,
    paid: &Paid<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    // One after the other for each seller: they share the numbers of invoices, and what counts their products.
    tx.execute(
        sql("SELECT pg_advisory_xact_lock(hashtextextended('sales:' || $1, 0))")
            .bind(order.seller_id.map(|id| id.to_string()).unwrap_or_default()),
    )
    .await?;
    let set = Set::new()
        .fixed("status = 'completed', completed_at = now(), payment_error = NULL")
        .to(
            "gateway_id = (SELECT g.id FROM payment_gateways g WHERE g.code = {})",
            paid.gateway,
        )
        .when("gateway_transaction_id = {}", paid.transaction);
    let query = Rows::of("orders", "o")
        .when("o.organization_id = {}::uuid", Some(order.organization_id))
        .only("o.status IN ('pending', 'processing', 'failed')")
        .id(order.id)
        .set(set, COLUMNS);
    let after: Option<Raw<Order>> = tx.row(query).await?;
    let Some(after) = after else {
        return Ok(Vec::new());
    };
    let keys = match order.kind {
        Kind::Purchase => give(tx, config, order, now).await?,
        Kind::Renewal => subscriptions::paid::renewed(tx, order, now).await?,
        Kind::PlanChange => subscriptions::paid::changed(tx, order).await?,
    };
    record(tx, order, "order.completed", &after);
    let number = issue::invoice(tx, order, now).await?;
    let data = json!({
        "order_number": order.order_number, "invoice_number": number,
        "total": order.currency.major(order.total()), "currency": order.currency.as_str(),
    });
    mails::post(
        tx,
        order.organization_id,
        order.user_id,
        "order_completed",
        data,
    )
    .await?;
    Ok(keys)
}

async fn give(
    tx: &mut Tx,
    config: &Config,
    order: &Locked,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let mut given = Vec::new();
    for item in items(tx, order.id).await? {
        let period_end = match item.billing_cycle.months() {
            None => None,
            Some(months) => Some(
                calendar::add_months(now, months)
                    .ok_or_else(|| Error::internal("a period beyond the years that are stored"))?,
            ),
        };
        for position in 0..item.quantity {
            let license = match item.plan_id {
                None => None,
                Some(plan) => {
                    let code = item.product_code.as_deref().unwrap_or_default();
                    let sold = Sold {
                        organization: order.organization_id,
                        owner: order.user_id,
                        plan,
                        product: item.product_id.map(|id| (id, code)),
                        cycle: item.billing_cycle,
                        expires_at: period_end,
                        order_number: &order.order_number,
                    };
                    let (id, key) = sold::make(tx, config, &sold, now).await?;
                    keys.push(key);
                    Some(id)
                }
            };
            let asset = match item.product_id {
                None => None,
                Some(product_id) => {
                    let id = Uuid::new_v4();
                    let one = Grant {
                        id,
                        organization_id: order.organization_id,
                        user_id: order.user_id,
                        product_id,
                        license_id: license,
                        order_id: Some(order.id),
                        expires_at: period_end.filter(|_| license.is_none()),
                    };
                    grant(tx, &one).await?;
                    Some(id)
                }
            };
            given.push(json!({ "item": item.id, "position": position, "license": license, "asset": asset }));
        }
        if let Some(end) = period_end {
            subscriptions::paid::begin(tx, order, &item, (now, end)).await?;
        }
    }
    tx.execute(
        sql("INSERT INTO order_grants (order_item_id, position, order_id, organization_id, license_id, asset_id)
             SELECT item, position, $1::uuid, $2::uuid, license, asset
             FROM jsonb_to_recordset($3::jsonb) AS g(item uuid, position int, license uuid, asset uuid)")
        .bind(order.id)
        .bind(order.organization_id)
        .bind(json!(given)),
    )
    .await?;
    Ok(keys)
}
