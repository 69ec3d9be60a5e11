//! What the gateway says beside what we say. A payment, a refund or a dispute of which the event never came is taken
//! over; whatever else differs is written down by name, for an operator.

use super::differences::{self, Difference};
use super::facts::{self, Fact};
use super::gateway::{self, Failed, Gateway, Payment, State};
use super::ledger::Ledger;
use crate::db::sql;
use crate::error::{Code, Result};
use crate::log;
use crate::modules::orders::model::RefundStatus;
use crate::modules::orders::queries::{self, Locked};
use crate::platform::clock;
use crate::run::Run;
use serde::Deserialize;
use uuid::Uuid;

/// Orders a run: each is up to three questions to the gateway.
const STEP: u32 = 200;

#[derive(Deserialize)]
struct Due {
    id: Uuid,
}

/// Compares the orders whose payment, refund or dispute has been open for a while, those that were paid or given up
/// lately, and those that differ, the one that was compared longest ago first; returns how many differences there are.
pub async fn reconcile(run: &Run) -> Result<u64> {
    let ledger = Ledger::of_run(run)?;
    if ledger.config.stripe_secret_key.is_none() {
        return Ok(0);
    }
    let due: Vec<Due> = run
        .begin()
        .only_rows(
            sql("WITH due AS (
                   SELECT o.id FROM orders o
                   WHERE o.status IN ('pending', 'processing', 'failed') AND o.updated_at < now() - interval '10 minutes'
                   UNION SELECT o.id FROM orders o WHERE o.completed_at > now() - interval '2 days'
                   UNION SELECT o.id FROM orders o WHERE o.cancelled_at > now() - interval '2 days'
                   UNION SELECT r.order_id FROM refunds r
                   WHERE r.status IN ('requested', 'pending') AND r.created_at < now() - interval '10 minutes'
                   UNION SELECT d.order_id FROM disputes d WHERE d.closed_at IS NULL
                   UNION SELECT p.order_id FROM payment_differences p WHERE p.resolved_at IS NULL)
                 SELECT o.id FROM due JOIN orders o ON o.id = due.id
                 WHERE o.gateway_transaction_id IS NOT NULL AND o.gateway_id = '70000000-0000-4000-8000-000000000001'
                 ORDER BY o.compared_at NULLS FIRST, o.created_at, o.id LIMIT $1::bigint")
            .bind(STEP),
        )
        .await?;
    let stripe = gateway::of(ledger.config, "stripe")?;
    let mut different = 0;
    let mut outcome = Ok(());
    for Due { id } in due {
        match one(run, &ledger, &*stripe, id).await {
            Ok(found) => different += found,
            Err(error) => {
                log::warn(&run.name, "an order could not be compared", &error);
                // As it may for good: others have their turn, now or with the next run.
                differences::looked_at(run, id).await?;
                if error.code == Code::Unavailable {
                    return Err(error);
                }
                outcome = Err(error);
            }
        }
    }
    outcome.map(|()| different)
}

async fn one(run: &Run, ledger: &Ledger, stripe: &dyn Gateway, id: Uuid) -> Result<u64> {
    let order = read(ledger, id).await?;
    let Some(transaction) = order.transaction.clone() else {
        return Ok(0);
    };
    let found = match stripe.look(&transaction).await {
        Ok(payment) => compare(ledger, stripe, order, &transaction, &payment).await?,
        Err(Failed::Refused { code, .. }) => {
            vec![Difference::new("payment_unknown", &transaction, code)]
        }
        Err(away) => return Err(away.into()),
    };
    differences::write(run, id, &found).await?;
    Ok(found.len() as u64)
}

async fn read(ledger: &Ledger, id: Uuid) -> Result<Locked> {
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::peek(&mut tx, orders, id).await?;
    ledger.commit(tx, &[]).await?;
    Ok(order)
}

async fn compare(
    ledger: &Ledger,
    gateway: &dyn Gateway,
    mut order: Locked,
    transaction: &str,
    payment: &Payment,
) -> Result<Vec<Difference>> {
    let paid = payment.state == State::Succeeded;
    let mut found = Vec::new();
    if order.status.is_open() {
        let transaction = transaction.to_owned();
        let missed = match payment.state {
            State::Succeeded => Some(Fact::Paid {
                transaction,
                order: Some(order.id),
                received: payment.received,
                currency: payment.currency,
            }),
            State::Cancelled => Some(Fact::GivenUp { transaction }),
            _ => None,
        };
        if let Some(fact) = missed {
            let why = told(ledger, &fact).await?;
            let ours = order.status.as_str();
            found.extend(why.map(|why| Difference::new("paid_and_not_taken", ours, why)));
            order = read(ledger, order.id).await?;
        }
    }
    let (ours, total) = (order.status.as_str(), order.total());
    match (order.status.is_paid(), paid) {
        (true, false) => {
            let theirs = format!("{:?}", payment.state);
            found.push(Difference::new("completed_and_not_paid", ours, theirs));
        }
        (true, true) if payment.received != total => {
            found.push(Difference::new("amount", total, payment.received));
        }
        (true, true) => {
            let order = order.id;
            found.extend(what_followed(ledger, gateway, order, transaction).await?);
        }
        // Done with once all of it went back.
        (false, true) if !order.status.is_open() => {
            let facts = gateway.since(transaction).await?;
            if facts.iter().map(paid_back).sum::<i64>() < payment.received {
                found.push(Difference::new("cancelled_and_paid", ours, "succeeded"));
            }
        }
        _ => {}
    }
    Ok(found)
}

/// What went back with this, in minor units.
fn paid_back(fact: &Fact) -> i64 {
    match fact {
        Fact::Refund { amount, status, .. } if *status == RefundStatus::Succeeded => *amount,
        _ => 0,
    }
}

/// What became of a payment after it succeeded: its refunds and disputes.
async fn what_followed(
    ledger: &Ledger,
    gateway: &dyn Gateway,
    order: Uuid,
    transaction: &str,
) -> Result<Vec<Difference>> {
    let facts = gateway.since(transaction).await?;
    let theirs: i64 = facts.iter().map(paid_back).sum();
    let mut found = Vec::new();
    for fact in &facts {
        let (kind, id) = match fact {
            Fact::Refund { id, .. } => ("refund", id),
            Fact::Dispute { id, .. } => ("dispute", id),
            _ => continue,
        };
        let why = told(ledger, fact).await?;
        found.extend(why.map(|why| Difference::new(kind, why, id)));
    }
    let ours = read(ledger, order).await?.refunded();
    if ours != theirs {
        found.push(Difference::new("refunded", ours, theirs));
    }
    Ok(found)
}

/// Takes a fact over; why not, if it does not fit.
pub async fn told(ledger: &Ledger, fact: &Fact) -> Result<Option<&'static str>> {
    let mut tx = ledger.begin();
    match facts::apply(&mut tx, ledger.config, fact, clock::now()).await? {
        facts::Outcome::Done(_, keys) => {
            ledger.commit(tx, &keys).await?;
            Ok(None)
        }
        facts::Outcome::Parked(_, why) => {
            ledger.commit(tx, &[]).await?;
            Ok(Some(why))
        }
    }
}
