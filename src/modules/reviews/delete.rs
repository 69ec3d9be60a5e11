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

/// Takes back a review of one's own, with its votes and the reply to it. One that is hidden stays: whoever took it
/// back could write it anew.
pub async fn delete(
    permit: Permit<ReviewsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let own = changeable(&tx, permit.principal.user_id).id(id);
    let free = match tx.scope().organization() {
        Some(_) => own.clone().only("NOT r.is_hidden"),
        None => own.clone(),
    };
    // Not held before: whoever votes holds it in part, and waits for the rest.
    let Some(before) = tx.row::<Raw<Review>>(free.delete(COLUMNS)).await? else {
        let _: Raw<Review> = tx.one(own.read(COLUMNS), Code::ReviewNotFound).await?;
        return Err(Code::ReviewHidden.into());
    };
    tx.record_end(&REVIEW, "review.deleted", &before);
    permit.commit(tx, NoContent::done()).await
}
