//! `PATCH /api/coupons/{id}`

use super::model::{Coupon, CouponChanges};
use super::queries::{self, COLUMNS, COUPON, mine};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{CouponsWrite, Permit};
use crate::http::reply::Data;

/// Changes a coupon, for orders that are made from then on.
pub async fn update(
    permit: Permit<CouponsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<CouponChanges>>,
) -> Outcome<Data<Coupon>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new()
        .patch("description = {}", &wanted.description)
        .patch("max_redemptions = {}::integer", &wanted.max_redemptions)
        .patch("max_per_user = {}::integer", &wanted.max_per_user)
        .patch("valid_until = {}::timestamptz", &wanted.valid_until)
        .patch("is_active = {}::boolean", &wanted.is_active);
    let query = mine(&tx)
        .id(id)
        .set(set, COLUMNS)
        .on(
            "coupons_redemptions_check",
            Error::field("max_redemptions", "is less than it was used already"),
        )
        .on(
            "coupons_validity_check",
            Error::field("valid_until", "must be after valid_from"),
        );
    let after: Raw<Coupon> = tx.one(query, Code::CouponNotFound).await?;
    tx.record_change(&COUPON, "coupon.updated", &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}
