//! `POST /api/reviews/{id}/helpful` and `DELETE /api/reviews/{id}/helpful`

use super::model::Votes;
use super::queries::{mine, public};
use crate::db::{Raw, sql};
use crate::error::{Code, Result};
use crate::http::change::{Change, Outcome};
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReviewsWrite};
use crate::http::reply::Data;
use serde::Deserialize;
use uuid::Uuid;

/// Finds somebody else's review helpful. Twice is once.
pub async fn vote(
    permit: Permit<ReviewsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<Data<Votes>> {
    let mut tx = permit.begin_once(key).await?;
    let user = permit.principal.user_id;
    let organization = permit.organization(permit.principal.organization_id)?;
    seen(&mut tx, id, true).await?;
    #[derive(Deserialize)]
    struct Own {}
    let query = mine(&tx, user).id(id).read("r.id");
    let own: Option<Own> = tx.row(query).await?;
    if own.is_some() {
        return Err(Code::OwnReview.into());
    }
    tx.execute(
        sql(
            "INSERT INTO product_review_votes (review_id, organization_id, user_id)
             VALUES ($1::uuid, $2::uuid, $3::uuid) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(organization)
        .bind(user)
        // Its author took it back a moment ago.
        .on("product_review_votes_review_id_fkey", Code::ReviewNotFound),
    )
    .await?;
    let votes = seen(&mut tx, id, true).await?;
    permit.commit(tx, Data::raw(&votes)).await
}

/// Takes that back.
pub async fn unvote(
    permit: Permit<ReviewsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<Data<Votes>> {
    let mut tx = permit.begin_once(key).await?;
    seen(&mut tx, id, false).await?;
    let organization = tx.scope().organization();
    tx.execute(
        sql("DELETE FROM product_review_votes v
             WHERE v.review_id = $1::uuid AND v.user_id = $2::uuid AND ($3 IS NULL OR v.organization_id = $3::uuid)")
        .bind(id)
        .bind(permit.principal.user_id)
        .bind(organization),
    )
    .await?;
    let votes = seen(&mut tx, id, false).await?;
    permit.commit(tx, Data::raw(&votes)).await
}

/// The votes for a review that is shown.
async fn seen(tx: &mut Change, id: Uuid, is_helpful: bool) -> Result<Raw<Votes>> {
    let columns = format!("r.review_id AS id, r.helpful_count, {is_helpful} AS is_helpful");
    tx.one(public().id(id).read(&columns), Code::ReviewNotFound)
        .await
}
