//! What becomes of a dispute: access is held while it is decided on, and after it was lost.

use super::access;
use super::facts::{Fact, Outcome};
use crate::db::facts::{Action, Fact as Written};
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::modules::orders::queries::{Locked, ORDER};
use crate::modules::subscriptions;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// What is held back by a dispute is decided on by these words.
fn holds(status: &str) -> bool {
    matches!(status, "needs_response" | "under_review" | "lost")
}

fn is_closed(status: &str) -> bool {
    matches!(status, "won" | "lost" | "warning_closed" | "prevented")
}

#[derive(Deserialize)]
struct Disputed {
    id: Uuid,
}

/// Takes over what is told of a dispute of an order that is held.
///
/// # Errors
/// When the database fails.
pub async fn apply(
    tx: &mut Tx,
    order: &Locked,
    fact: &Fact,
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let Fact::Dispute {
        id,
        amount,
        status,
        reason,
        ..
    } = fact
    else {
        return Err(Error::internal("no dispute"));
    };
    if !order.status.is_paid() {
        return Ok(Outcome::Parked(Some(order.id), "the order is not paid"));
    }
    // What is closed stays so: an older word that arrives late changes nothing.
    let changed: Option<Disputed> = tx
        .row(
            sql("INSERT INTO disputes AS d (order_id, organization_id, seller_id, gateway_dispute_id, status, amount, reason,
                   is_holding, closed_at)
                 VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6::numeric, left($7, 100), $8::boolean,
                   CASE WHEN $9::boolean THEN now() END)
                 ON CONFLICT (gateway_dispute_id) DO UPDATE SET status = excluded.status, is_holding = excluded.is_holding,
                   closed_at = excluded.closed_at
                 WHERE d.closed_at IS NULL AND d.status <> excluded.status AND d.order_id = excluded.order_id
                 RETURNING d.id")
            .bind(order.id)
            .bind(order.organization_id)
            .bind(order.seller_id)
            .bind(id)
            .bind(status)
            .bind(order.currency.major(*amount))
            .bind(reason.as_deref())
            .bind(holds(status))
            .bind(is_closed(status)),
        )
        .await?;
    let Some(Disputed { id: dispute }) = changed else {
        return Ok(Outcome::Done(Some(order.id), Vec::new()));
    };
    access::hold(tx, order).await?;
    if holds(status) {
        // Nobody is charged for what is held.
        subscriptions::paid::stop(tx, order).await?;
    }
    let keys = access::settle(tx, order, now).await?;
    for organization in [Some(order.organization_id), order.seller_id]
        .into_iter()
        .flatten()
    {
        tx.record(Written {
            organization_id: Some(organization),
            action: Action::Update,
            event: "order.disputed",
            resource_type: "order",
            resource_id: order.id,
            changes: json!({ "before": {}, "after": { "dispute_id": dispute, "dispute": status } }),
            payload: ORDER.told.map(|told| told(&order.row.tree())),
        });
        if order.seller_id == Some(order.organization_id) {
            break;
        }
    }
    Ok(Outcome::Done(Some(order.id), keys))
}
