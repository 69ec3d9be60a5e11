//! `POST /api/subscriptions/{id}/cancel`, `…/resume` and `…/change-plan`

use super::model::{Changed, Nothing, PlanChange, Status, Subscription};
use super::queries::{self, Locked, mine};
use super::renew::LAST_CALL;
use crate::db::{Raw, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{OrdersWrite, Permit};
use crate::http::reply::Data;
use crate::modules::orders::model::{Kind, Order};
use crate::modules::orders::offers;
use crate::modules::orders::pricing::{Buyer, Draft, write};
use crate::modules::orders::queries::{Chosen, ORDER};
use crate::modules::payments::access;
use crate::platform::clock;
use celaest_domain::billing::subscription::{LEAD, proration};
use celaest_domain::billing::totals::{Discount, Line};
use celaest_domain::json;
use serde_json::json;

/// Lets a subscription end with its period. Doing so again changes nothing.
pub async fn cancel(
    permit: Permit<OrdersWrite>,
    Id(id): Id,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Data<Subscription>> {
    let mut tx = permit.begin_once(key).await?;
    let rows = mine(&tx);
    let before = queries::lock(&mut tx, rows, id).await?;
    if before.status == Status::Ended {
        return Err(Error::new(Code::SubscriptionEnded).into());
    }
    // The next thing that happens is its end; what is past due is not charged again.
    let end = before.current_period_end;
    let set = Set::new()
        .fixed("cancel_at_period_end = true")
        .to("next_attempt_at = {}::timestamptz", end);
    let after = queries::change(&mut tx, &before, "subscription.changed", set).await?;
    permit.commit(tx, Data::raw(&after)).await
}

/// Lets a subscription go on that was to end with its period.
pub async fn resume(
    permit: Permit<OrdersWrite>,
    Id(id): Id,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Data<Subscription>> {
    let mut tx = permit.begin_once(key).await?;
    let rows = mine(&tx);
    let before = queries::lock(&mut tx, rows, id).await?;
    if before.status == Status::Ended {
        return Err(Error::new(Code::SubscriptionEnded).into());
    }
    if !before.cancel_at_period_end {
        return permit.commit(tx, Data::raw(&before.row)).await;
    }
    // It stays stopped, so nobody pays for more.
    if let Some(hold) = access::holds(&mut tx, &before).await? {
        let reason = json!({ "reason": hold.as_str() });
        return Err(Error::new(Code::SubscriptionConflict)
            .with_details(reason)
            .into());
    }
    let next = before.current_period_end - LEAD;
    let set = Set::new()
        .fixed("cancel_at_period_end = false")
        .to("next_attempt_at = {}::timestamptz", next);
    let after = queries::change(&mut tx, &before, "subscription.changed", set).await?;
    permit.commit(tx, Data::raw(&after)).await
}

/// Changes the plan of a subscription. A dearer one begins when the rest of the period is paid; a cheaper one with
/// the next period, unless the plan that it has is chosen again before.
pub async fn change_plan(
    permit: Permit<OrdersWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<PlanChange>>,
) -> Outcome<Data<Changed>> {
    let now = clock::now();
    let mut tx = permit.begin_once(key).await?;
    let rows = mine(&tx);
    let before = queries::lock(&mut tx, rows, id).await?;
    let conflict = || Error::new(Code::SubscriptionConflict);
    if before.status == Status::Ended {
        return Err(Error::new(Code::SubscriptionEnded).into());
    }
    let plan = wanted.plan_id.0;
    let of_plan = before.product_id.is_none() && before.plan_id.is_some();
    if before.status != Status::Active
        || before.cancel_at_period_end
        || !of_plan
        || (before.plan_id == Some(plan) && before.next_plan_id.is_none())
    {
        return Err(conflict().into());
    }
    // What is to be paid for another change, or for the next period, is paid or given up first.
    if queries::open_order(&mut tx, &before).await?.is_some() {
        return Err(conflict().into());
    }
    if before.plan_id == Some(plan) {
        // It stays: what was to come with the next period does not.
        let set = Set::new().fixed("next_plan_id = NULL, next_unit_price = NULL");
        let after = queries::change(&mut tx, &before, "subscription.changed", set).await?;
        let changed = Changed {
            subscription: read(&after)?,
            order: None,
        };
        return permit.commit(tx, Data::of(&changed)).await;
    }
    let offer = offers::plan(&mut tx, before.seller_id, plan, before.billing_cycle).await?;
    let offer = offer.filter(|offer| offer.currency == before.currency);
    let offer = offer.ok_or_else(|| Error::field("plan_id", "is not for sale"))?;
    let price = offer.unit_price(before.currency)?;
    let period = (before.current_period_start, before.current_period_end);
    let step = before.currency.step();
    let quantity = i64::from(before.quantity);
    let cost = proration(
        before.unit_price() * quantity,
        price * quantity,
        period,
        now,
        step,
    );
    let set = Set::new().to("next_plan_id = {}::uuid", plan).to(
        "next_unit_price = {}::numeric",
        before.currency.major(price),
    );
    let after = queries::change(&mut tx, &before, "subscription.changed", set).await?;
    let order = match cost > 0 {
        false => None,
        true => {
            let draft = Draft {
                organization: before.organization_id,
                user: before.user_id,
                seller: before.seller_id,
                buyer: Buyer {
                    name: before.billing_name.clone(),
                    tax_id: before.billing_tax_id.clone(),
                    address: before.billing_address.clone().unwrap_or_default(),
                },
                kind: Kind::PlanChange,
                currency: before.currency,
                lines: vec![(
                    offer,
                    Line {
                        unit: cost,
                        quantity: 1,
                        discounted: false,
                    },
                )],
                discount: Discount::None,
                coupon: None,
                subscription: Some(id),
                notes: None,
                expires_at: (now + chrono::TimeDelta::hours(24))
                    .min(before.current_period_end - LAST_CALL),
            };
            let order = write(&mut tx, &draft).await?;
            keep_chosen(&mut tx, &before, &order).await?;
            tx.record_new(&ORDER, "order.created", &order);
            Some(order)
        }
    };
    let changed = Changed {
        subscription: read(&after)?,
        order: match &order {
            Some(order) => Some(json::read(order.text()).map_err(Error::internal)?),
            None => None,
        },
    };
    permit.commit(tx, Data::of(&changed)).await
}

/// Keeps with the order for a dearer plan what was chosen for the next period before: it comes again when nobody pays.
async fn keep_chosen(tx: &mut Tx, before: &Locked, order: &Raw<Order>) -> Result<()> {
    let Some(plan) = before.next_plan_id else {
        return Ok(());
    };
    let chosen = Chosen {
        plan,
        unit_price: before.currency.major(before.next_unit_price()),
    };
    tx.execute(
        sql(
            "UPDATE orders SET metadata = jsonb_set(metadata, ARRAY['chosen_before'], $3::jsonb)
             WHERE id = $1::uuid AND organization_id = $2::uuid",
        )
        .bind(order.tree()["id"].as_str())
        .bind(before.organization_id)
        .bind(json!(chosen)),
    )
    .await
}

fn read(row: &Raw<Subscription>) -> Result<Subscription> {
    json::read(row.text()).map_err(Error::internal)
}
