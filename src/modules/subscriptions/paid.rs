//! What a payment means to a subscription, in the payment's own transaction.

use super::model::Subscription;
use super::queries::{self, COLUMNS, Locked, SUBSCRIPTION};
use crate::db::{Raw, Rows, Set, Tx, sql};
use crate::error::{Error, Result};
use crate::modules::licenses::sold;
use crate::modules::orders::queries::{Parts as Order, record_for_both};
use crate::modules::payments::access;
use crate::modules::payments::fulfil::Item;
use celaest_domain::billing::subscription::LEAD;
use celaest_domain::calendar;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// Begins a subscription with its first period.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    tx: &mut Tx,
    order: &Order,
    item: &Item,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
) -> Result<()> {
    let begun: Option<Raw<Subscription>> = tx
        .row(
        sql(format!("INSERT INTO subscriptions AS s (organization_id, user_id, seller_id, order_item_id, product_id, plan_id, name, quantity,
               unit_price, currency, billing_cycle, current_period_start, current_period_end, next_attempt_at)
             VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::uuid, $7, $8::int, $9::numeric, $10,
               $11::billing_cycle, $12::timestamptz, $13::timestamptz, $14::timestamptz)
             ON CONFLICT (order_item_id) DO NOTHING RETURNING {COLUMNS}"))
        .bind(order.organization_id)
        .bind(order.user_id)
        .bind(order.seller()?)
        .bind(item.id)
        .bind(item.product_id)
        .bind(item.plan_id)
        .bind(&item.name)
        .bind(item.quantity)
        .bind(&item.unit_price)
        .bind(order.currency.as_str())
        .bind(item.billing_cycle)
        .bind(start)
        .bind(end)
        .bind(end - LEAD),
        )
        .await?;
    if let Some(begun) = begun {
        let sides = (order.organization_id, order.seller_id);
        let after = begun.tree();
        record_for_both(
            tx,
            &SUBSCRIPTION,
            "subscription.created",
            sides,
            (&Value::Null, &after),
        );
    }
    Ok(())
}

/// The assignments that put a subscription `s` on the plan that was chosen for later, if one was.
const NEXT_PLAN: &str = "plan_id = coalesce(s.next_plan_id, s.plan_id), unit_price = coalesce(s.next_unit_price, s.unit_price),
    name = coalesce((SELECT p.name FROM subscription_plans p WHERE p.id = s.next_plan_id), s.name),
    next_plan_id = NULL, next_unit_price = NULL";

async fn of(tx: &mut Tx, order: &Order) -> Result<Locked> {
    let id: Option<Uuid> = order.subscription_id;
    let id = id.ok_or_else(|| Error::internal("a renewal of nothing"))?;
    queries::lock(tx, Rows::of("subscriptions", "s"), id).await
}

/// The next period is paid: its licenses go on, on the plan that was chosen for it. Returns their keys.
///
/// # Errors
/// When the database fails.
pub async fn renewed(tx: &mut Tx, order: &Order, now: DateTime<Utc>) -> Result<Vec<String>> {
    let subscription = of(tx, order).await?;
    let months = subscription.billing_cycle.months().unwrap_or(1);
    let end = subscription.current_period_end;
    // What was suspended and is paid late begins anew: nobody pays for days without a license.
    let start = match subscription.suspended_at {
        Some(_) => end.max(now),
        None => end,
    };
    let day = calendar::renewal_day(subscription.created_at, start);
    let before = start - chrono::TimeDelta::seconds(1);
    let (next, _) = calendar::renewed_expiry(day, start, before, months)
        .ok_or_else(|| Error::internal("a period beyond the years that are stored"))?;
    let set = Set::new()
        .fixed("status = 'active', first_failed_at = NULL, suspended_at = NULL, ended_at = NULL")
        .fixed(NEXT_PLAN)
        .to("current_period_start = {}::timestamptz", start)
        .to("current_period_end = {}::timestamptz", next)
        .to("next_attempt_at = {}::timestamptz", next - LEAD);
    queries::change(tx, &subscription, "subscription.renewed", set).await?;
    let mut keys = Vec::new();
    for license in queries::licenses(tx, &subscription).await? {
        keys.extend(sold::extend(tx, license, next, next, subscription.next_plan_id).await?);
    }
    queries::redate_assets(tx, &subscription, next).await?;
    // What else was stopped for want of payment works again.
    keys.extend(access::settle_subscription(tx, &subscription, now).await?);
    Ok(keys)
}

/// The rest of a period on another plan is paid: it begins now. Returns the keys of the licenses.
///
/// # Errors
/// When the database fails.
pub async fn changed(tx: &mut Tx, order: &Order) -> Result<Vec<String>> {
    let subscription = of(tx, order).await?;
    if subscription.next_plan_id.is_none() {
        return Ok(Vec::new());
    }
    let set = Set::new().fixed(NEXT_PLAN);
    queries::change(tx, &subscription, "subscription.changed", set).await?;
    let (end, plan) = (subscription.current_period_end, subscription.next_plan_id);
    queries::redate(tx, &subscription, end, plan, true).await
}

#[derive(Deserialize)]
struct Running {
    id: Uuid,
}

/// What an order began or renewed was paid back, or is disputed: it is not charged again, and ends with its period unless somebody
/// lets it go on.
///
/// # Errors
/// When the database fails.
pub async fn stop(tx: &mut Tx, order: &Order) -> Result<()> {
    let running: Vec<Running> = tx
        .rows(
            sql("SELECT s.id FROM subscriptions s WHERE s.organization_id = $2::uuid AND s.status <> 'ended'
                   AND (s.id = $3::uuid OR s.order_item_id IN (SELECT i.id FROM order_items i WHERE i.order_id = $1::uuid))
                 ORDER BY s.id")
            .bind(order.id)
            .bind(order.organization_id)
            .bind(order.subscription_id),
        )
        .await?;
    for Running { id } in running {
        let subscription = queries::lock(tx, Rows::of("subscriptions", "s"), id).await?;
        let set =
            Set::new().fixed("cancel_at_period_end = true, next_attempt_at = s.current_period_end");
        queries::change(tx, &subscription, "subscription.changed", set).await?;
    }
    Ok(())
}
