//! What is due of subscriptions: the next period is ordered and charged, a payment that failed is tried again, and
//! what was cancelled or stayed unpaid too long ends.

use super::charge::{AWAY, charge, later};
use super::model::Status;
use super::queries::{self, Locked};
use crate::db::{Rows, Set, Tx, sql};
use crate::error::{Code, Result};
use crate::log;
use crate::modules::orders::cancel::give_up;
use crate::modules::orders::model::Kind;
use crate::modules::orders::offers::Offer;
use crate::modules::orders::pricing::{Buyer, Draft, write};
use crate::modules::orders::queries as orders;
use crate::modules::payments::ledger::Ledger;
use crate::platform::clock;
use crate::run::Run;
use celaest_domain::billing::subscription::{GRACE, SUSPENDED_FOR};
use celaest_domain::billing::totals::{Discount, Line};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use uuid::Uuid;

/// Subscriptions a run.
const STEP: u32 = 100;
/// So long before its end the rest of a period can be paid on another plan: the next one is charged then.
pub(super) const LAST_CALL: TimeDelta = TimeDelta::hours(1);

#[derive(Deserialize)]
struct Due {
    id: Uuid,
}

/// What is to be done with a subscription.
enum Step {
    Charge(Uuid),
    GiveUp(Uuid),
    Wait,
    Nothing,
}

/// Does what is due; returns with how many.
pub async fn renew(run: &Run) -> Result<u64> {
    let ledger = Ledger::of_run(run)?;
    let due: Vec<Due> = run
        .begin()
        .only_rows(
            sql("SELECT s.id FROM subscriptions s WHERE s.status <> 'ended' AND s.next_attempt_at <= now()
                 ORDER BY s.next_attempt_at LIMIT $1::bigint")
            .bind(STEP),
        )
        .await?;
    let mut done = 0;
    let mut outcome = Ok(());
    for Due { id } in due {
        match one(&ledger, id, clock::now()).await {
            Ok(()) => done += 1,
            Err(error) => {
                log::warn(&run.name, "a subscription has to wait", &error);
                // As it may for good: others have their turn.
                outcome = later(&ledger, id, clock::now() + AWAY)
                    .await
                    .and(Err(error));
            }
        }
    }
    outcome.map(|()| done)
}

async fn one(ledger: &Ledger, id: Uuid, now: DateTime<Utc>) -> Result<()> {
    let mut tx = ledger.begin();
    let subscription = queries::lock(&mut tx, Rows::of("subscriptions", "s"), id).await?;
    let due = subscription.next_attempt_at.is_some_and(|at| at <= now);
    if !due || subscription.status == Status::Ended {
        return ledger.commit(tx, &[]).await;
    }
    let open = queries::open_order(&mut tx, &subscription).await?;
    let over = now >= subscription.current_period_end;
    let given_up = subscription
        .suspended_at
        .is_some_and(|at| now >= at + SUSPENDED_FOR);
    let closed = is_closed(&mut tx, &subscription).await?;
    let (step, keys) = match subscription.status {
        _ if given_up || closed || (subscription.cancel_at_period_end && over) => {
            let keys = end(&mut tx, &subscription, now).await?;
            (
                open.map_or(Step::Nothing, |open| Step::GiveUp(open.id)),
                keys,
            )
        }
        _ if subscription.cancel_at_period_end => (Step::Nothing, Vec::new()),
        _ => (
            match open {
                // Whether another plan is paid for is known first; but of a period that is over there is no rest.
                Some(open) if open.kind == Kind::PlanChange => {
                    match now + LAST_CALL < subscription.current_period_end {
                        true => Step::Wait,
                        false => Step::GiveUp(open.id),
                    }
                }
                Some(open) => Step::Charge(open.id),
                None => Step::Charge(order(&mut tx, &subscription).await?),
            },
            Vec::new(),
        ),
    };
    ledger.commit(tx, &keys).await?;
    match step {
        Step::Nothing => Ok(()),
        Step::Wait => later(ledger, id, now + AWAY).await,
        Step::Charge(order) => charge(ledger, id, order, now).await,
        Step::GiveUp(order) => {
            let mut tx = ledger.begin();
            let rows = orders::both(&tx);
            let order = orders::peek(&mut tx, rows, order).await?;
            ledger.commit(tx, &[]).await?;
            match give_up(ledger, &order).await {
                Err(error) if error.code != Code::OrderPaid => Err(error),
                _ => Ok(()),
            }
        }
    }
}

/// Whether whoever pays or whoever sells was closed: nobody is there to end it, and nothing is given for the money.
async fn is_closed(tx: &mut Tx, subscription: &Locked) -> Result<bool> {
    tx.value(
        sql("SELECT to_json(EXISTS (SELECT 1 FROM organizations o WHERE o.id IN ($1::uuid, $2::uuid)
               AND o.deleted_at IS NOT NULL))::text")
        .bind(subscription.organization_id)
        .bind(subscription.seller_id),
    )
    .await
}

/// Orders the next period, with what is true now: its price, its plan and the taxes of the place.
async fn order(tx: &mut Tx, subscription: &Locked) -> Result<Uuid> {
    let draft = Draft {
        organization: subscription.organization_id,
        user: subscription.user_id,
        seller: subscription.seller_id,
        buyer: Buyer {
            name: subscription.billing_name.clone(),
            tax_id: subscription.billing_tax_id.clone(),
            address: subscription.billing_address.clone().unwrap_or_default(),
        },
        kind: Kind::Renewal,
        currency: subscription.currency,
        lines: vec![(
            Offer {
                product_id: subscription.product_id,
                plan_id: subscription.next_plan_id.or(subscription.plan_id),
                seller_id: subscription.seller_id,
                name: subscription
                    .next_name
                    .as_ref()
                    .unwrap_or(&subscription.name)
                    .clone(),
                price: subscription.currency.major(subscription.next_unit_price()),
                currency: subscription.currency,
                cycle: subscription.billing_cycle,
            },
            Line {
                unit: subscription.next_unit_price(),
                quantity: subscription.quantity,
                discounted: false,
            },
        )],
        discount: Discount::None,
        coupon: None,
        subscription: Some(subscription.id),
        notes: None,
        expires_at: subscription.current_period_end + GRACE + SUSPENDED_FOR,
    };
    let order = write(tx, &draft).await?;
    tx.record_new(&orders::ORDER, "order.created", &order);
    let id = order.tree()["id"].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| crate::error::Error::internal("an order without an id"))
}

/// It is over. Its licenses end with what was paid.
async fn end(tx: &mut Tx, subscription: &Locked, now: DateTime<Utc>) -> Result<Vec<String>> {
    let set = Set::new().fixed("status = 'ended', ended_at = now(), next_attempt_at = NULL");
    queries::change(tx, subscription, "subscription.ended", set).await?;
    let until = subscription.current_period_end.min(now);
    queries::redate(tx, subscription, until, None, false).await
}
