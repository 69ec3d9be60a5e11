//! What the gateway says beside what we say. A payment that arrived without its event is taken over; whatever
//! else differs is written down by name, for an operator.

use super::facts::{self, Fact};
use super::gateway::{self, Failed, Payment, State};
use super::ledger::Ledger;
use crate::db::sql;
use crate::error::Result;
use crate::modules::orders::queries::{self, Locked};
use crate::platform::clock;
use crate::run::Run;
use serde::Deserialize;
use uuid::Uuid;

/// Orders a run.
const STEP: u32 = 50;

#[derive(Deserialize)]
struct Due {
    id: Uuid,
}

/// Compares the orders whose payment has been open for a while, and those that were paid lately; returns how many
/// differences there are.
pub async fn reconcile(run: &Run) -> Result<u64> {
    let ledger = Ledger::of_run(run)?;
    if ledger.config.stripe_secret_key.is_none() {
        return Ok(0);
    }
    let due: Vec<Due> = run
        .begin()
        .only_rows(
            sql("SELECT o.id FROM orders o
                 WHERE o.gateway_transaction_id IS NOT NULL AND (
                   (o.status IN ('pending', 'processing', 'failed') AND o.updated_at < now() - interval '10 minutes')
                   OR (o.status IN ('completed', 'refunded') AND o.completed_at > now() - interval '2 days')
                   OR (o.status = 'cancelled' AND o.cancelled_at > now() - interval '2 days'))
                   AND o.gateway_id = '70000000-0000-4000-8000-000000000001'
                 ORDER BY o.updated_at DESC LIMIT $1::bigint")
            .bind(STEP),
        )
        .await?;
    let stripe = gateway::of(ledger.config, "stripe")?;
    let mut different = 0;
    for Due { id } in due {
        let mut tx = run.begin();
        let orders = queries::both(&tx);
        let order = queries::peek(&mut tx, orders, id).await?;
        run.commit(tx).await?;
        let Some(transaction) = order.transaction.clone() else {
            continue;
        };
        let payment = match stripe.look(&transaction).await {
            Ok(payment) => payment,
            Err(Failed::Refused { code, .. }) => {
                different += note(run, &order, "payment_unknown", &transaction, &code).await?;
                continue;
            }
            Err(away) => return Err(away.into()),
        };
        different += compare(run, &ledger, &order, &transaction, &payment).await?;
    }
    Ok(different)
}

async fn compare(
    run: &Run,
    ledger: &Ledger,
    order: &Locked,
    transaction: &str,
    payment: &Payment,
) -> Result<u64> {
    let ours = order.status.as_str();
    let paid = payment.state == State::Succeeded;
    match (order.status.is_open(), order.status.is_paid(), paid) {
        (true, _, true) => {
            let fact = Fact::Paid {
                transaction: transaction.to_owned(),
                order: Some(order.id),
                received: payment.received,
                currency: payment.currency,
            };
            match told(ledger, &fact).await? {
                None => Ok(0),
                Some(why) => note(run, order, "paid_and_not_taken", ours, why).await,
            }
        }
        (true, _, false) if payment.state == State::Cancelled => {
            let fact = Fact::GivenUp {
                transaction: transaction.to_owned(),
            };
            told(ledger, &fact).await?;
            Ok(0)
        }
        (_, true, false) => {
            note(
                run,
                order,
                "completed_and_not_paid",
                ours,
                &format!("{:?}", payment.state),
            )
            .await
        }
        (_, true, true) if payment.received != order.total() => {
            let (ours, theirs) = (order.total().to_string(), payment.received.to_string());
            note(run, order, "amount", &ours, &theirs).await
        }
        (false, false, true) => note(run, order, "cancelled_and_paid", ours, "succeeded").await,
        _ => settled(run, order).await,
    }
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

async fn note(run: &Run, order: &Locked, kind: &str, ours: &str, theirs: &str) -> Result<u64> {
    run.begin()
        .only_execute(
            sql("WITH noted AS (
                   INSERT INTO payment_differences AS d (order_id, kind, ours, theirs)
                   VALUES ($1::uuid, $2, left($3, 255), left($4, 255))
                   ON CONFLICT (order_id, kind) DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs, resolved_at = NULL
                   WHERE d.resolved_at IS NOT NULL OR (d.ours, d.theirs) IS DISTINCT FROM (excluded.ours, excluded.theirs)
                   RETURNING 1)
                 INSERT INTO system_events (event_type, severity, source, message, details)
                 SELECT 'payment.difference', 'error', 'stripe', $2, json_build_object('order_id', $1, 'ours', $3, 'theirs', $4)
                 FROM noted")
            .bind(order.id)
            .bind(kind)
            .bind(ours)
            .bind(theirs),
        )
        .await?;
    Ok(1)
}

/// Nothing differs any more.
async fn settled(run: &Run, order: &Locked) -> Result<u64> {
    run.begin()
        .only_execute(
            sql("UPDATE payment_differences SET resolved_at = now() WHERE order_id = $1::uuid AND resolved_at IS NULL")
                .bind(order.id),
        )
        .await?;
    Ok(0)
}
