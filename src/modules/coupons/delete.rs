//! `DELETE /api/coupons/{id}`

use super::model::Coupon;
use super::queries::{self, COLUMNS, COUPON, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{CouponsWrite, Permit};
use crate::http::reply::NoContent;

/// Deletes a coupon. Orders that have it keep it, and its code is free again.
pub async fn delete(
    permit: Permit<CouponsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new().fixed("deleted_at = now(), is_active = false");
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let _: Raw<Coupon> = tx.one(query, Code::CouponNotFound).await?;
    tx.record_end(&COUPON, "coupon.deleted", &before);
    permit.commit(tx, NoContent::done()).await
}
