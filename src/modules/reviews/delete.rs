//! `DELETE /api/reviews/{id}`

use super::model::Review;
use super::queries::{COLUMNS, REVIEW, changeable};
use crate::db::Raw;
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReviewsWrite};
use crate::http::reply::NoContent;

/// Takes back a review of one's own, with its votes and the reply to it.
pub async fn delete(
    permit: Permit<ReviewsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let query = changeable(&tx, permit.principal.user_id)
        .id(id)
        .delete(COLUMNS);
    let before: Raw<Review> = tx.one(query, Code::ReviewNotFound).await?;
    tx.record_end(&REVIEW, "review.deleted", &before);
    permit.commit(tx, NoContent::done()).await
}
