//! What becomes of what an order gave, by what becomes of its money.

use crate::db::{Tx, sql};
use crate::error::Result;
use crate::modules::assets::queries::set_status_of_order;
use crate::modules::licenses::sold::{self, Hold};
use crate::modules::orders::queries::Parts;
use celaest_domain::market::asset;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

/// Why something is held, in the words of the statement below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    Refund,
    Dispute,
    Unpaid,
}

impl Why {
    fn hold(self) -> Hold {
        match self {
            Self::Refund => Hold::Refund,
            Self::Dispute => Hold::Dispute,
            Self::Unpaid => Hold::Unpaid,
        }
    }
}

#[derive(Deserialize)]
struct Standing {
    /// The order that gave it: for a renewal the one that its subscription began with.
    first: Option<Uuid>,
    /// Of all of it.
    hold: Option<Why>,
    licenses: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    id: Uuid,
    hold: Option<Why>,
}

/// Stops what an order gave, or gives it back, by its refunds, its disputes and its subscriptions. Returns the
/// keys of the licenses that changed.
///
/// # Errors
/// When the database fails.
pub async fn settle(tx: &mut Tx, order: &Parts, now: DateTime<Utc>) -> Result<Vec<String>> {
    let standing: Standing = tx
        .value(
            sql("WITH first AS (
                   SELECT coalesce((SELECT i.order_id FROM subscriptions s JOIN order_items i ON i.id = s.order_item_id
                     WHERE s.id = o.subscription_id), o.id) AS id
                   FROM orders o WHERE o.id = $1::uuid AND o.organization_id = $2::uuid
                 ), whole AS (
                   SELECT o.id, CASE WHEN o.status = 'refunded' THEN 'refund'
                     WHEN EXISTS (SELECT 1 FROM disputes d WHERE d.order_id = o.id AND d.is_holding) THEN 'dispute' END AS hold
                   FROM orders o JOIN first ON first.id = o.id
                 ), item AS (
                   SELECT i.id, CASE
                     WHEN whole.hold IS NOT NULL THEN whole.hold
                     WHEN (SELECT r.status FROM orders r WHERE r.subscription_id = s.id AND r.kind = 'renewal'
                           AND r.completed_at IS NOT NULL ORDER BY r.completed_at DESC LIMIT 1) = 'refunded' THEN 'refund'
                     WHEN EXISTS (SELECT 1 FROM disputes d JOIN orders r ON r.id = d.order_id
                           WHERE r.subscription_id = s.id AND d.is_holding) THEN 'dispute'
                     WHEN s.status = 'suspended' THEN 'unpaid' END AS hold
                   FROM whole JOIN order_items i ON i.order_id = whole.id LEFT JOIN subscriptions s ON s.order_item_id = i.id)
                 SELECT json_build_object('first', (SELECT id FROM whole), 'hold', (SELECT hold FROM whole),
                   'licenses', (SELECT coalesce(json_agg(json_build_object('id', g.license_id, 'hold', item.hold)
                       ORDER BY g.license_id), '[]')
                     FROM item JOIN order_grants g ON g.order_item_id = item.id WHERE g.license_id IS NOT NULL))::text")
            .bind(order.id)
            .bind(order.organization_id),
        )
        .await?;
    let mut keys = Vec::new();
    for Held { id, hold } in standing.licenses {
        keys.extend(sold::settle(tx, id, hold.map(Why::hold), now).await?);
    }
    let (status, reason) = match standing.hold.map(Why::hold) {
        Some(hold @ Hold::Refund) => (asset::Status::Revoked, hold.as_str()),
        Some(hold) => (asset::Status::Suspended, hold.as_str()),
        None => (asset::Status::Active, "paid"),
    };
    if let Some(first) = standing.first {
        set_status_of_order(tx, order.organization_id, first, status, reason).await?;
    }
    Ok(keys)
}
