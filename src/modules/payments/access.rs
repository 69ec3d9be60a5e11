//! What becomes of what an order gave, by what becomes of its money.

use crate::db::{Tx, sql};
use crate::error::Result;
use crate::modules::assets::queries::{Standing, set_statuses};
use crate::modules::licenses::sold::{self, Hold};
use crate::modules::orders::queries::Parts;
use crate::modules::subscriptions::queries::PAID_BY;
use celaest_domain::market::asset::Status;
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

/// Something that an order gave, and what holds it.
#[derive(Deserialize)]
struct Given {
    license: Option<Uuid>,
    asset: Option<Uuid>,
    hold: Option<Why>,
}

/// Stops what an order gave, or gives it back: each line by the order that pays for it now, by disputes and by its
/// subscription. Of a renewal it is what its subscription began with. Returns the keys of the licenses that changed.
///
/// # Errors
/// When the database fails.
pub async fn settle(tx: &mut Tx, order: &Parts, now: DateTime<Utc>) -> Result<Vec<String>> {
    let given: Vec<Given> = tx
        .value(
            sql(format!("WITH first AS (
                   SELECT coalesce((SELECT i.order_id FROM subscriptions s JOIN order_items i ON i.id = s.order_item_id
                     WHERE s.id = o.subscription_id), o.id) AS id
                   FROM orders o WHERE o.id = $1::uuid AND o.organization_id = $2::uuid
                 ), item AS (
                   SELECT i.id, CASE
                     WHEN {PAID_BY} = 'refunded' THEN 'refund'
                     WHEN EXISTS (SELECT 1 FROM disputes d WHERE d.order_id = o.id AND d.is_holding) THEN 'dispute'
                     WHEN EXISTS (SELECT 1 FROM disputes d JOIN orders r ON r.id = d.order_id
                           WHERE r.subscription_id = s.id AND d.is_holding) THEN 'dispute'
                     WHEN s.status = 'suspended' THEN 'unpaid' END AS hold
                   FROM first JOIN orders o ON o.id = first.id JOIN order_items i ON i.order_id = o.id
                   LEFT JOIN subscriptions s ON s.order_item_id = i.id)
                 SELECT coalesce(json_agg(json_build_object('license', g.license_id, 'asset', g.asset_id, 'hold', item.hold)
                     ORDER BY g.license_id), '[]')::text
                 FROM item JOIN order_grants g ON g.order_item_id = item.id"))
            .bind(order.id)
            .bind(order.organization_id),
        )
        .await?;
    let (mut keys, mut assets) = (Vec::new(), Vec::new());
    for Given {
        license,
        asset,
        hold,
    } in given
    {
        let hold = hold.map(Why::hold);
        if let Some(id) = license {
            keys.extend(sold::settle(tx, id, hold, now).await?);
        }
        if let Some(id) = asset {
            let status = match hold {
                Some(Hold::Refund) => Status::Revoked,
                Some(_) => Status::Suspended,
                None => Status::Active,
            };
            assets.push(Standing {
                id,
                status,
                reason: hold.map(Hold::as_str),
            });
        }
    }
    set_statuses(tx, order.organization_id, &assets).await?;
    Ok(keys)
}
