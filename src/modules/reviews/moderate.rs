//! `POST /api/reviews/{id}/moderate`

use super::model::{Moderation, Review};
use super::queries::{self, COLUMNS, REVIEW, ours};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReviewsModerate};
use crate::http::reply::Data;

/// Hides a review, or shows it again. What is hidden counts for no rating.
pub async fn moderate(
    permit: Permit<ReviewsModerate>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<Moderation>>,
) -> Outcome<Data<Review>> {
    let mut tx = permit.begin_once(key).await?;
    let one = ours(&tx).id(id);
    let before = queries::lock(&mut tx, one.clone()).await?;
    let reason = wanted.reason.filter(|_| wanted.hidden);
    let set = Set::new()
        .to("is_hidden = {}::boolean", wanted.hidden)
        .to("hidden_reason = {}", reason);
    let after: Raw<Review> = tx.one(one.set(set, COLUMNS), Code::ReviewNotFound).await?;
    let event = match wanted.hidden {
        true => "review.hidden",
        false => "review.shown",
    };
    tx.record_change(&REVIEW, event, &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}
