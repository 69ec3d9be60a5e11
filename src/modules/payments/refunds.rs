//! What becomes of a refund.

use super::{access, mails};
use crate::db::{Raw, Rows, Set, Tx};
use crate::error::{Code, Result};
use crate::modules::invoices::issue;
use crate::modules::orders::model::{Order, Refund, RefundStatus};
use crate::modules::orders::queries::{self, Locked, LockedRefund, REFUND, REFUND_COLUMNS, record};
use crate::modules::subscriptions;
use celaest_domain::billing::order::{Event, next};
use chrono::{DateTime, Utc};
use serde_json::json;

/// What a gateway says of a refund.
pub struct Told<'a> {
    /// What it calls it.
    pub id: Option<&'a str>,
    /// Where it is.
    pub status: RefundStatus,
    /// Why it failed.
    pub failure: Option<&'a str>,
}

/// Reads a gateway's word for where a refund is.
pub fn status(word: &str) -> RefundStatus {
    match word {
        "succeeded" => RefundStatus::Succeeded,
        "failed" => RefundStatus::Failed,
        "canceled" => RefundStatus::Canceled,
        _ => RefundStatus::Pending,
    }
}

/// Takes over what is told of a refund that is held with its order. What is older than what is known changes
/// nothing. Access ends when all of the order was paid back, and comes back when that failed after all. Returns
/// the keys of the licenses that changed.
///
/// # Errors
/// When the database fails.
pub async fn apply(
    tx: &mut Tx,
    order: &Locked,
    refund: &LockedRefund,
    told: &Told<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    if told.status.rank() <= refund.status.rank() && refund.gateway_refund_id.is_some() {
        return Ok(Vec::new());
    }
    let before: Raw<Refund> = queries::read_refund(tx, refund.id).await?;
    let newer = told.status.rank() > refund.status.rank();
    let mut set = Set::new().when("gateway_refund_id = {}", told.id);
    if newer {
        set = set
            .to("status = {}", told.status.as_str())
            .when("failure = left({}, 100)", told.failure);
    }
    if told.status == RefundStatus::Succeeded && newer {
        set = set.fixed("succeeded_at = now()");
    }
    let query = Rows::of("refunds", "r")
        .when("r.organization_id = {}::uuid", Some(order.organization_id))
        .id(refund.id)
        .set(set, REFUND_COLUMNS);
    let after: Raw<Refund> = tx.one(query, Code::NotFound).await?;
    tx.happens_in(Some(order.organization_id));
    tx.record_change(&REFUND, "refund.updated", &before, &after);
    if !newer {
        return Ok(Vec::new());
    }
    access::hold(tx, order).await?;
    match (refund.status, told.status) {
        (_, RefundStatus::Succeeded) => succeeded(tx, order, refund, now).await,
        (RefundStatus::Succeeded, _) => undone(tx, order, refund, now).await,
        _ => Ok(Vec::new()),
    }
}

async fn succeeded(
    tx: &mut Tx,
    order: &Locked,
    refund: &LockedRefund,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let amount = refund.amount(order.currency);
    let refunded = order.refunded() + amount;
    let mut set = Set::new().to(
        "refunded_total = {}::numeric",
        order.currency.major(refunded),
    );
    if refunded >= order.total() {
        let status = next(order.status, Event::PaidBack).unwrap_or(order.status);
        set = set
            .to("status = {}::text::order_status", status.as_str())
            .fixed("refunded_at = now()");
    }
    let after: Raw<Order> = queries::set(tx, order, set).await?;
    record(tx, order, "order.refunded", &after);
    if refunded >= order.total() {
        subscriptions::paid::stop(tx, order).await?;
    }
    let number = issue::credit_note(tx, order, refund.id, amount, now).await?;
    let data = json!({
        "order_number": order.order_number, "invoice_number": number,
        "total": order.currency.major(amount), "currency": order.currency.as_str(),
    });
    mails::post(
        tx,
        order.organization_id,
        order.user_id,
        "order_refunded",
        data,
    )
    .await?;
    access::settle(tx, order, now).await
}

/// The money came back to the seller: what the credit note took away is invoiced anew.
async fn undone(
    tx: &mut Tx,
    order: &Locked,
    refund: &LockedRefund,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let amount = refund.amount(order.currency);
    let refunded = (order.refunded() - amount).max(0);
    let status = next(order.status, Event::RefundFailed).unwrap_or(order.status);
    let set = Set::new()
        .to(
            "refunded_total = {}::numeric",
            order.currency.major(refunded),
        )
        .to("status = {}::text::order_status", status.as_str())
        .fixed("refunded_at = NULL");
    let after: Raw<Order> = queries::set(tx, order, set).await?;
    record(tx, order, "order.refunded", &after);
    issue::reinstate(tx, order, refund.id, now).await?;
    access::settle(tx, order, now).await
}
