//! `PATCH /api/reviews/{id}`

use super::model::{Review, ReviewChanges};
use super::queries::{self, COLUMNS, HAS_IT, REVIEW, changeable};
use crate::db::{Raw, Set};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReviewsWrite};
use crate::http::reply::Data;
use crate::platform::clock;

/// Changes a review of one's own.
pub async fn update(
    permit: Permit<ReviewsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<ReviewChanges>>,
) -> Outcome<Data<Review>> {
    let mut tx = permit.begin_once(key).await?;
    let own = changeable(&tx, permit.principal.user_id).id(id);
    let before = queries::lock(&mut tx, own.clone()).await?;
    let rating = wanted.rating.value().map(|stars| u32::from(*stars));
    let set = Set::new()
        .when("rating = {}::smallint", rating)
        .patch("title = {}", &wanted.title)
        .patch("comment = {}", &wanted.comment)
        .along("edited_at = {}::timestamptz", clock::now())
        .along(&format!("is_verified = {{}}::boolean OR {HAS_IT}"), false);
    let after: Option<Raw<Review>> = tx.row(own.set(set, COLUMNS)).await?;
    let after = after.unwrap_or_else(|| before.clone());
    tx.record_change(&REVIEW, "review.updated", &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}
