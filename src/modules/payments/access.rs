//! What becomes of what an order gave, by what becomes of its money.

use crate::db::{Tx, sql};
use crate::error::Result;
use crate::modules::assets::queries::{Standing, set_statuses};
use crate::modules::licenses::sold::{self, Hold};
use crate::modules::orders::queries::Parts;
use crate::modules::subscriptions::queries::{PAID_BY, Parts as Subscription};
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

/// The lines that an order pays for, from aliases `i` and `s`, and whose they are: of a renewal it is the one that its
/// subscription began with.
fn lines(order: &Parts) -> (&'static str, Uuid) {
    match order.subscription_id {
        Some(subscription) => (BEGUN, subscription),
        None => ("i.order_id = $1::uuid", order.id),
    }
}

/// The line that a subscription began with.
const BEGUN: &str = "i.id = (SELECT f.order_item_id FROM subscriptions f WHERE f.id = $1::uuid)";

/// Holds the subscriptions that an order pays for, as whoever charges them does: what becomes of the money of several
/// orders of one is settled one after the other, and each sees what was before it. To be held before their licenses.
///
/// # Errors
/// When the database fails.
pub async fn hold(tx: &mut Tx, order: &Parts) -> Result<()> {
    let (lines, of) = lines(order);
    tx.execute(
        sql(format!(
            "SELECT s.id FROM subscriptions s JOIN order_items i ON i.id = s.order_item_id
             WHERE {lines} AND s.organization_id = $2::uuid ORDER BY s.id FOR NO KEY UPDATE OF s"
        ))
        .bind(of)
        .bind(order.organization_id),
    )
    .await
}

/// Stops what an order gave, or gives it back: each line by the order that pays for it now, by disputes and by its
/// subscription, which is held ([`hold`]). Returns the keys of the licenses that changed.
///
/// # Errors
/// When the database fails.
pub async fn settle(tx: &mut Tx, order: &Parts, now: DateTime<Utc>) -> Result<Vec<String>> {
    settle_lines(tx, order.organization_id, lines(order), now).await
}

/// [`settle`] for the line that a subscription that is held began with.
///
/// # Errors
/// When the database fails.
pub async fn settle_subscription(
    tx: &mut Tx,
    subscription: &Subscription,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let organization = subscription.organization_id;
    settle_lines(tx, organization, (BEGUN, subscription.id), now).await
}

/// What holds a line `i` of an order `o`, with its subscription `s` if it has one, whatever is paid from now on.
fn held() -> String {
    format!(
        "CASE WHEN {PAID_BY} = 'refunded' THEN 'refund'
           WHEN EXISTS (SELECT 1 FROM disputes d WHERE d.order_id = o.id AND d.is_holding) THEN 'dispute'
           WHEN EXISTS (SELECT 1 FROM disputes d JOIN orders r ON r.id = d.order_id
                 WHERE r.subscription_id = s.id AND d.is_holding) THEN 'dispute' END"
    )
}

/// What holds all that a subscription gave, whatever is paid from now on.
///
/// # Errors
/// When the database fails.
pub async fn holds(tx: &mut Tx, subscription: &Subscription) -> Result<Option<Hold>> {
    let query = sql(format!(
        "SELECT to_json({})::text
         FROM subscriptions s JOIN order_items i ON i.id = s.order_item_id JOIN orders o ON o.id = i.order_id
         WHERE s.id = $1::uuid AND s.organization_id = $2::uuid",
        held()
    ));
    let why: Option<Why> = tx
        .value(
            query
                .bind(subscription.id)
                .bind(subscription.organization_id),
        )
        .await?;
    Ok(why.map(Why::hold))
}

async fn settle_lines(
    tx: &mut Tx,
    organization: Uuid,
    (lines, of): (&str, Uuid),
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let given: Vec<Given> = tx
        .value(
            sql(format!("WITH item AS (
                   SELECT i.id, coalesce({held}, CASE WHEN s.status = 'suspended' THEN 'unpaid' END) AS hold
                   FROM order_items i JOIN orders o ON o.id = i.order_id
                   LEFT JOIN subscriptions s ON s.order_item_id = i.id
                   WHERE {lines} AND o.organization_id = $2::uuid)
                 SELECT coalesce(json_agg(json_build_object('license', g.license_id, 'asset', g.asset_id, 'hold', item.hold)
                     ORDER BY g.license_id), '[]')::text
                 FROM item JOIN order_grants g ON g.order_item_id = item.id", held = held()))
            .bind(of)
            .bind(organization),
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
    set_statuses(tx, organization, &assets).await?;
    Ok(keys)
}
