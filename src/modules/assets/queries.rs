//! The SQL of what customers own.

use crate::db::{Tx, sql};
use crate::error::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What has become of something that is owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetStatus {
    /// It can be used.
    Active,
    /// Not for now.
    Suspended,
    /// Not any more.
    Revoked,
}

impl AssetStatus {
    /// The value of the database's `asset_status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// One thing that somebody comes to own. `id` is chosen by the caller: the same id twice is one asset.
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// The owner's organization.
    pub organization_id: Uuid,
    /// The owner.
    pub user_id: Uuid,
    /// What it is a copy of.
    pub product_id: Uuid,
    /// The license that goes with it.
    pub license_id: Option<Uuid>,
    /// The order it came from.
    pub order_id: Option<Uuid>,
    /// Until when; none: as long as the license is good.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Gives somebody a product.
///
/// # Errors
/// When the database fails.
pub async fn grant(tx: &mut Tx, grant: &Grant) -> Result<()> {
    tx.execute(
        sql("INSERT INTO customer_assets (id, organization_id, user_id, product_id, license_id, order_id, expires_at)
             VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::uuid, $7::timestamptz)
             ON CONFLICT (id) DO NOTHING")
        .bind(grant.id)
        .bind(grant.organization_id)
        .bind(grant.user_id)
        .bind(grant.product_id)
        .bind(grant.license_id)
        .bind(grant.order_id)
        .bind(grant.expires_at),
    )
    .await
}

/// What becomes of everything an order gave. Returns how many things changed.
///
/// # Errors
/// When the database fails.
pub async fn set_status_of_order(
    tx: &mut Tx,
    organization: Uuid,
    order_id: Uuid,
    status: AssetStatus,
    _reason: &str,
) -> Result<u32> {
    let changed: Vec<serde_json::Value> = tx
        .rows(
            sql("UPDATE customer_assets SET status = $3::asset_status
                 WHERE organization_id = $1::uuid AND order_id = $2::uuid AND status <> $3::asset_status
                   AND status <> 'expired'
                 RETURNING id")
            .bind(organization)
            .bind(order_id)
            .bind(status.as_str()),
        )
        .await?;
    Ok(changed.len() as u32)
}
