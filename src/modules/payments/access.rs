//! What becomes of what an order gave, by what becomes of its money.

use crate::db::{Tx, sql};
use crate::error::Result;
use crate::modules::assets::queries::{AssetStatus, set_status_of_order};
use crate::modules::licenses::sold::{self, Hold};
use crate::modules::orders::queries::Parts;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct Standing {
    refunded: bool,
    disputed: bool,
    unpaid: bool,
    licenses: Vec<Uuid>,
}

/// Stops what an order gave, or gives it back, by its refunds, its disputes and its subscription. Returns the
/// keys of the licenses that changed.
///
/// # Errors
/// When the database fails.
pub async fn settle(tx: &mut Tx, order: &Parts, now: DateTime<Utc>) -> Result<Vec<String>> {
    let standing: Standing = tx
        .value(
            sql("SELECT json_build_object(
                   'refunded', o.status = 'refunded',
                   'disputed', EXISTS (SELECT 1 FROM disputes d WHERE d.order_id = o.id AND d.is_holding),
                   'unpaid', EXISTS (SELECT 1 FROM subscriptions s JOIN order_items i ON i.id = s.order_item_id
                     WHERE i.order_id = o.id AND s.status = 'suspended'),
                   'licenses', (SELECT coalesce(json_agg(g.license_id ORDER BY g.license_id), '[]') FROM order_grants g
                     WHERE g.order_id = o.id AND g.license_id IS NOT NULL))::text
                 FROM orders o WHERE o.id = $1::uuid AND o.organization_id = $2::uuid")
            .bind(order.id)
            .bind(order.organization_id),
        )
        .await?;
    let hold = match standing {
        Standing { refunded: true, .. } => Some(Hold::Refund),
        Standing { disputed: true, .. } => Some(Hold::Dispute),
        Standing { unpaid: true, .. } => Some(Hold::Unpaid),
        _ => None,
    };
    let mut keys = Vec::new();
    for license in standing.licenses {
        keys.extend(sold::settle(tx, license, hold, now).await?);
    }
    let (status, reason) = match hold {
        Some(hold @ Hold::Refund) => (AssetStatus::Revoked, hold.as_str()),
        Some(hold) => (AssetStatus::Suspended, hold.as_str()),
        None => (AssetStatus::Active, "paid"),
    };
    set_status_of_order(tx, order.organization_id, order.id, status, reason).await?;
    Ok(keys)
}
