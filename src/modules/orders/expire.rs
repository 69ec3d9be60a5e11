//! Orders that nobody paid in time are given up, their payments and coupons too.

use super::cancel::give_up;
use super::queries;
use crate::db::sql;
use crate::error::{Code, Result};
use crate::log;
use crate::modules::payments::ledger::Ledger;
use crate::run::Run;
use serde::Deserialize;
use uuid::Uuid;

/// Orders a run.
const STEP: u32 = 100;

#[derive(Deserialize)]
struct Due {
    id: Uuid,
}

/// Gives up what is due; returns how many.
pub async fn expire(run: &Run) -> Result<u64> {
    let ledger = Ledger::of_run(run)?;
    let due: Vec<Due> = run
        .begin()
        .only_rows(
            sql("SELECT o.id FROM orders o
                 WHERE o.status IN ('pending', 'processing', 'failed') AND o.expires_at <= now()
                 ORDER BY o.expires_at LIMIT $1::bigint")
            .bind(STEP),
        )
        .await?;
    let mut done = 0;
    let mut outcome = Ok(());
    for Due { id } in due {
        match one(run, &ledger, id).await {
            Ok(()) => done += 1,
            // It was paid a moment ago.
            Err(error) if error.code == Code::OrderPaid => {}
            // It is about to be, which may take days: others have their turn.
            Err(error) if error.code == Code::PaymentUnderWay => later(run, id).await?,
            // As it may be for good, where the gateway does not know the payment.
            Err(error) => {
                log::warn(&run.name, "an order could not be given up", &error);
                later(run, id).await?;
                outcome = Err(error);
            }
        }
    }
    outcome.map(|()| done)
}

async fn one(run: &Run, ledger: &Ledger, id: Uuid) -> Result<()> {
    let mut tx = run.begin();
    let orders = queries::both(&tx);
    let order = queries::peek(&mut tx, orders, id).await?;
    run.commit(tx).await?;
    give_up(ledger, &order).await.map(drop)
}

/// Gives an order whose payment cannot be ended now another hour.
async fn later(run: &Run, id: Uuid) -> Result<()> {
    let query = sql("UPDATE orders SET expires_at = now() + interval '1 hour'
         WHERE id = $1::uuid AND status IN ('pending', 'processing', 'failed') AND expires_at <= now()");
    run.begin().only_execute(query.bind(id)).await
}
