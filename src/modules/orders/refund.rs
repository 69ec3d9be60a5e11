//! `POST /api/orders/{id}/refund`

use super::model::{NewRefund, Refund, RefundStatus};
use super::queries::{self, Parts, REFUND, REFUND_COLUMNS, sold};
use crate::db::{Bind, Raw, Set, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{OrdersRefund, Permit};
use crate::http::reply::Created;
use crate::modules::payments::gateway::{self, Failed};
use crate::modules::payments::ledger::Ledger;
use crate::modules::payments::refunds::{self, Told, status};
use crate::platform::clock;
use crate::run::Run;
use celaest_domain::billing::money::Currency;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Pays back what one sold, in part or in whole. Access ends when the gateway says that all of it succeeded.
pub async fn create(
    permit: Permit<OrdersRefund>,
    Id(id): Id,
    Once(key, Body(new)): Once<Body<NewRefund>>,
) -> Outcome<Created<Refund>> {
    // The refund itself knows the key too: whoever dies before the answer is stored, and asks again, asks for
    // the same one.
    let once = key.name().map(|key| format!("{}:{key}", permit.caller()));
    let mut looked = permit.begin_once(key.clone()).await?;
    // Whoever sells may not hold the buyer's row; the system looks again, under its lock.
    let orders = sold(&looked);
    let order = queries::peek(&mut looked, orders, id).await?;
    // Nobody who waits for the gateway, or for a second connection, keeps one meanwhile.
    drop(looked);
    let ledger = Ledger::of_call(&permit.call, permit.principal.actor(&permit.call));
    let refund = ask(
        &ledger,
        id,
        order.seller_id,
        permit.principal.user_id,
        (&new, once),
    )
    .await?;
    carry_out(&ledger, refund).await?;
    let mut tx = permit.begin_once(key).await?;
    let query = crate::db::Rows::of("refunds", "r")
        .when("r.seller_id = {}::uuid", tx.scope().organization())
        .id(refund)
        .read(REFUND_COLUMNS);
    let made: Raw<Refund> = tx.one(query, Code::NotFound).await?;
    permit.commit(tx, Created::raw(&made)).await
}

/// Writes a refund down before the gateway hears of it.
async fn ask(
    ledger: &Ledger,
    id: Uuid,
    seller: Option<Uuid>,
    by: Uuid,
    (new, once): (&NewRefund, Option<String>),
) -> Result<Uuid> {
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, id).await?;
    let known: Option<Known> = tx
        .row(
            sql("SELECT id, amount::text FROM refunds WHERE order_id = $1::uuid AND request_key = $2")
                .bind(id)
                .bind(once.as_deref()),
        )
        .await?;
    if let Some(known) = known {
        let wanted = new.amount.as_ref().and_then(|price| price.text());
        let wanted = wanted.and_then(|text| order.currency.minor(&text));
        let same = wanted.is_none_or(|amount| known.amount(order.currency) == amount);
        ledger.commit(tx, &[]).await?;
        return match same {
            true => Ok(known.id),
            false => Err(Code::IdempotencyConflict.into()),
        };
    }
    if !order.status.is_paid() || order.seller_id != seller {
        return Err(Code::OrderUnpaid.into());
    }
    let open: Vec<Known> = tx
        .rows(
            sql(
                "SELECT id, amount::text FROM refunds WHERE order_id = $1::uuid AND status IN ('requested', 'pending')
                 ORDER BY created_at, id",
            )
            .bind(id),
        )
        .await?;
    let promised: i64 = open.iter().map(|known| known.amount(order.currency)).sum();
    let left = order.total() - order.refunded() - promised;
    let amount = match &new.amount {
        None => left,
        Some(price) => price
            .text()
            .and_then(|text| order.currency.minor(&text))
            .filter(|amount| *amount > 0)
            .ok_or_else(|| Error::field("amount", "is no amount of the currency"))?,
    };
    if amount > left || left == 0 {
        return Err(too_large(&order, &open, amount, left));
    }
    let query = Set::new()
        .to("order_id = {}::uuid", order.id)
        .to("organization_id = {}::uuid", order.organization_id)
        .to("seller_id = {}::uuid", order.seller_id)
        .to("requested_by = {}::uuid", by)
        .to("amount = {}::numeric", order.currency.major(amount))
        .to("reason = {}", new.reason.as_deref())
        .to("request_key = {}", once.as_deref())
        .insert("refunds", "r", REFUND_COLUMNS)
        // The key was of another order's, days ago.
        .on("refunds_request_key", Code::IdempotencyConflict);
    let refund: Raw<Refund> = tx.one(query, Code::Internal).await?;
    tx.happens_in(order.seller_id);
    tx.record_new(&REFUND, "refund.requested", &refund);
    let id = refund.tree()["id"].as_str().and_then(|id| id.parse().ok());
    ledger.commit(tx, &[]).await?;
    id.ok_or_else(|| Error::internal("a refund without an id"))
}

#[derive(Deserialize)]
struct Known {
    id: Uuid,
    amount: String,
}

impl Known {
    /// Minor units.
    fn amount(&self, currency: Currency) -> i64 {
        currency.minor(&self.amount).unwrap_or(0)
    }
}

/// Why so much is not paid back: it is on its way already, in refunds of which the gateway has not said the last
/// word, or the order never came to so much.
fn too_large(order: &Parts, open: &[Known], amount: i64, left: i64) -> Error {
    let promised: i64 = open.iter().map(|known| known.amount(order.currency)).sum();
    let left_now = order.currency.major(left).parse::<f64>().ok();
    if promised == 0 || amount > left + promised {
        return Error::new(Code::RefundTooLarge).with_details(json!({ "left": left_now }));
    }
    let ids: Vec<_> = open.iter().map(|known| known.id).collect();
    Error::new(Code::RefundUnderWay).with_details(json!({ "left": left_now, "refund_ids": ids }))
}

#[derive(Deserialize)]
struct Open {
    order_id: Uuid,
}

/// Tells the gateway to pay back what was asked for, and takes over its answer. Whoever dies in between leaves
/// this to [`resume`].
///
/// # Errors
/// 422 with the gateway's word when it refuses; 503 when nobody knows, and the job goes on with it.
async fn carry_out(ledger: &Ledger, id: Uuid) -> Result<()> {
    let mut tx = ledger.begin();
    let query = sql("SELECT order_id FROM refunds WHERE id = $1::uuid").bind(id);
    let Open { order_id } = tx.one(query, Code::NotFound).await?;
    let orders = queries::both(&tx);
    let order = queries::peek(&mut tx, orders, order_id).await?;
    let refund = queries::lock_refund(&mut tx, &order, Some(id), None).await?;
    ledger.commit(tx, &[]).await?;
    let Some(refund) = refund else { return Ok(()) };
    // What the gateway has decided on is not asked for again: days later it has forgotten the words, and would pay
    // back once more.
    match refund.status {
        RefundStatus::Requested if refund.gateway_refund_id.is_none() => {}
        RefundStatus::Failed | RefundStatus::Canceled => {
            let code = json!({ "code": refund.failure });
            return Err(Error::new(Code::PaymentRefused).with_details(code));
        }
        _ => return Ok(()),
    }
    let amount = refund.amount(order.currency);
    // What cost nothing was paid by no gateway.
    let gateway = gateway::of(ledger.config, order.gateway.as_deref().unwrap_or("manual"))?;
    let answer = gateway
        .refund(order.transaction.as_deref(), id, amount)
        .await;
    let (told_id, told_status, failure) = match &answer {
        Ok(back) => (
            back.id.as_deref(),
            status(&back.status),
            back.failure.as_deref(),
        ),
        Err(Failed::Refused { code, .. }) => (None, status("failed"), Some(code.as_str())),
        Err(Failed::Away(cause)) => {
            // It is there, and the job goes on with it: whoever asks again need not.
            return Err(Error::unavailable(cause).with_details(json!({ "refund_id": id })));
        }
    };
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, order_id).await?;
    let refund = match queries::lock_refund(&mut tx, &order, None, told_id).await? {
        Some(known) if told_id.is_some() => Some(known),
        _ => queries::lock_refund(&mut tx, &order, Some(id), None).await?,
    };
    let Some(refund) = refund else { return Ok(()) };
    let told = Told {
        id: told_id,
        status: told_status,
        failure,
    };
    let keys = refunds::apply(&mut tx, &order, &refund, &told, clock::now()).await?;
    ledger.commit(tx, &keys).await?;
    match answer {
        Err(refused) => Err(refused.into()),
        Ok(_) => Ok(()),
    }
}

#[derive(Deserialize)]
struct Due {
    id: Uuid,
}

/// Goes on with refunds that were asked for and of which the gateway has said nothing; returns how many.
pub async fn resume(run: &Run) -> Result<u64> {
    let ledger = Ledger::of_run(run)?;
    let due: Vec<Due> = run
        .begin()
        .only_rows(sql(
            "SELECT id FROM refunds WHERE status = 'requested' AND created_at < now() - interval '1 minute'
             ORDER BY updated_at LIMIT 50",
        ))
        .await?;
    let mut done = 0;
    let mut outcome = Ok(());
    for Due { id } in due {
        match carry_out(&ledger, id).await {
            Err(error) if error.code != Code::PaymentRefused => {
                // As it may for good: others have their turn.
                let query = sql("UPDATE refunds SET status = status WHERE id = $1::uuid");
                run.begin().only_execute(query.bind(id)).await?;
                outcome = Err(error);
            }
            _ => done += 1,
        }
    }
    outcome.map(|()| done)
}
