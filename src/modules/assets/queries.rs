//! The SQL of what customers own, and what orders do to it.

use super::model::Asset;
use crate::db::facts::{Action, Fact, Subject};
use crate::db::{Raw, Rows, Tx, sql};
use crate::error::{Code, Result};
use celaest_domain::market::asset::Status;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// The columns of [`Asset`], from aliases `a`, `p` and `l` ([`AROUND`]).
pub const COLUMNS: &str = "a.id, a.organization_id, a.user_id, a.product_id, p.name AS product_name,
    p.slug AS product_slug, p.status AS product_status, p.image_url AS product_image_url, a.license_id,
    l.status AS license_status, a.order_id,
    CASE WHEN a.status = 'active' AND a.expires_at <= now() THEN 'expired' ELSE a.status::text END AS status,
    a.status_reason, a.acquired_at, a.expires_at, a.download_limit, a.download_count,
    (SELECT r.version FROM catalogue_releases r WHERE r.product_id = a.product_id AND r.status = 'stable'
     ORDER BY r.version_order DESC LIMIT 1) AS latest_version,
    a.transferred_at, a.created_at, a.updated_at";

/// What belongs to something owned: the product, whoever sells it, and the license.
pub const AROUND: &str = "JOIN products p ON p.id = a.product_id
    LEFT JOIN licenses l ON l.id = a.license_id AND l.organization_id = a.organization_id";

/// What the log learns of something owned.
pub const ASSET: Subject = Subject {
    kind: "asset",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// What the caller's organization owns; a client sees only the own ones.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("customer_assets", "a")
        .when("a.organization_id = {}::uuid", tx.scope().organization())
        .when("a.user_id = {}::uuid", tx.scope().owner())
        .joined(AROUND)
}

/// Reads one thing and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Raw<Asset>> {
    let query = mine(tx).id(id).lock(COLUMNS);
    tx.one(query, Code::AssetNotFound).await
}

/// One thing that somebody comes to own.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Chosen by whoever grants it: the same id twice is one thing.
    pub id: Uuid,
    /// The owner's organization.
    pub organization_id: Uuid,
    /// The owner.
    pub user_id: Uuid,
    /// What.
    pub product_id: Uuid,
    /// The license that goes with it, of the same organization.
    pub license_id: Option<Uuid>,
    /// The order that it was bought with, of the same organization.
    pub order_id: Option<Uuid>,
    /// When it ends by itself. Without: as long as its license is good.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes somebody the owner of something, in the transaction that makes it theirs, with as many downloads as the
/// product includes now. Granted before under the same id, it stays as it is.
///
/// # Errors
/// When the database refuses.
pub async fn grant(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let query = sql("INSERT INTO customer_assets AS a
           (id, organization_id, user_id, product_id, license_id, order_id, expires_at, download_limit)
         SELECT $1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::uuid, $7::timestamptz, coalesce(
           (SELECT p.download_limit FROM products p WHERE p.id = $4::uuid),
           (SELECT c.download_limit FROM catalogue_products c WHERE c.product_id = $4::uuid))
         ON CONFLICT (id) DO NOTHING
         RETURNING a.id")
    .bind(grant.id)
    .bind(grant.organization_id)
    .bind(grant.user_id)
    .bind(grant.product_id)
    .bind(grant.license_id)
    .bind(grant.order_id)
    .bind(grant.expires_at);
    let granted: Option<serde_json::Value> = tx.row(query).await?;
    if granted.is_some() {
        tx.record(Fact {
            organization_id: Some(grant.organization_id),
            action: Action::Create,
            event: "asset.granted",
            resource_type: ASSET.kind,
            resource_id: grant.id,
            changes: json!({ "before": {}, "after": {
                "user_id": grant.user_id, "product_id": grant.product_id, "license_id": grant.license_id,
                "order_id": grant.order_id, "expires_at": grant.expires_at,
            } }),
            payload: None,
        });
    }
    Ok(())
}

/// What is to become of something owned.
#[derive(Serialize)]
pub struct Standing {
    /// Which asset.
    pub id: Uuid,
    /// What becomes of it.
    pub status: Status,
    /// Why, where it is not active.
    pub reason: Option<&'static str>,
}

/// Changes what became of what an order gave: taken back with a refund, suspended while its payment is missing or
/// disputed, active again after it. What is so already stays as it is.
///
/// # Errors
/// When the database refuses.
pub async fn set_statuses(tx: &mut Tx, organization: Uuid, wanted: &[Standing]) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Changed {
        id: Uuid,
        before: String,
        after: String,
        reason: Option<String>,
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let query = sql("WITH changing AS (
           SELECT a.id, a.status, w.status AS wanted, w.reason
           FROM jsonb_to_recordset($2::jsonb) AS w(id uuid, status asset_status, reason text)
           JOIN customer_assets a ON a.id = w.id AND a.organization_id = $1::uuid
           WHERE (a.status, a.status_reason) IS DISTINCT FROM (w.status, w.reason::varchar)
           ORDER BY a.id FOR NO KEY UPDATE OF a
         )
         UPDATE customer_assets a SET status = c.wanted, status_reason = c.reason
         FROM changing c WHERE a.id = c.id AND a.organization_id = $1::uuid
         RETURNING a.id, c.status AS before, c.wanted AS after, c.reason")
    .bind(organization)
    .bind(json!(wanted));
    let changed: Vec<Changed> = tx.rows(query).await?;
    for one in changed {
        tx.record(Fact {
            organization_id: Some(organization),
            action: Action::Update,
            event: "asset.status_changed",
            resource_type: ASSET.kind,
            resource_id: one.id,
            changes: json!({
                "before": { "status": one.before },
                "after": { "status": one.after, "status_reason": one.reason },
            }),
            payload: None,
        });
    }
    Ok(())
}

/// Gives what a line of an order gave without a license another end: what has one ends with it.
///
/// # Errors
/// When the database refuses.
pub async fn redate(
    tx: &mut Tx,
    organization: Uuid,
    order_item: Uuid,
    until: DateTime<Utc>,
) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Redated {
        id: Uuid,
        before: Option<DateTime<Utc>>,
    }
    let query = sql("WITH changing AS (
           SELECT a.id, a.expires_at FROM order_grants g
           JOIN customer_assets a ON a.id = g.asset_id AND a.organization_id = g.organization_id
           WHERE g.order_item_id = $2::uuid AND g.organization_id = $1::uuid AND g.license_id IS NULL
             AND a.expires_at IS DISTINCT FROM $3::timestamptz
           ORDER BY a.id FOR NO KEY UPDATE OF a
         )
         UPDATE customer_assets a SET expires_at = $3::timestamptz
         FROM changing c WHERE a.id = c.id AND a.organization_id = $1::uuid
         RETURNING a.id, c.expires_at AS before")
    .bind(organization)
    .bind(order_item)
    .bind(until);
    let redated: Vec<Redated> = tx.rows(query).await?;
    for one in redated {
        let ending = |at: Option<DateTime<Utc>>| json!({ "id": one.id, "organization_id": organization, "expires_at": at });
        let (before, after) = (ending(one.before), ending(Some(until)));
        tx.record_between(&ASSET, "asset.updated", &before, &after);
    }
    Ok(())
}
