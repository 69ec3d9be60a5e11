//! The SQL of coupons.

use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Tx, sql};
use crate::error::{Code, Result};
use celaest_domain::billing::coupon;
use serde::Deserialize;
use uuid::Uuid;

/// The columns of [`super::model::Coupon`], from alias `c`.
pub const COLUMNS: &str = "c.id, c.organization_id, c.code, c.description, c.discount_type, c.discount_value, c.currency,
    c.min_order_amount, c.max_redemptions, c.max_per_user, c.redemption_count, c.product_ids, c.valid_from, c.valid_until,
    c.is_active, c.created_at, c.updated_at";

/// What the log learns of a coupon. Nobody outside is told.
pub const COUPON: Subject = Subject {
    kind: "coupon",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The caller's coupons.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("coupons", "c")
        .when("c.organization_id = {}::uuid", tx.scope().organization())
        .only("c.deleted_at IS NULL")
}

/// Reads one coupon and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Raw<super::model::Coupon>> {
    let query = mine(tx).id(id).lock(COLUMNS);
    tx.one(query, Code::CouponNotFound).await
}

/// A coupon as a buyer comes upon it.
#[derive(Debug, Deserialize)]
pub struct Offered {
    /// Identifier.
    pub id: Uuid,
    /// Its code, as it was made.
    pub code: String,
    /// What rules look at.
    #[serde(flatten)]
    pub coupon: coupon::Coupon,
}

/// The coupon of a seller, or of the platform, with this code.
///
/// # Errors
/// 404 when there is none.
pub async fn by_code(tx: &mut Tx, seller: Uuid, code: &str, buyer: Uuid) -> Result<Offered> {
    let found: Option<Offered> = tx
        .value(
            sql("SELECT coupon_by_code($1::uuid, $2, $3::uuid)::text")
                .bind(seller)
                .bind(code)
                .bind(buyer),
        )
        .await?;
    found.ok_or_else(|| Code::CouponNotFound.into())
}
