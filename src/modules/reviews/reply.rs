//! `POST /api/reviews/{id}/reply` and `DELETE /api/reviews/{id}/reply`

use super::model::{NewReply, Reply};
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Tx, sql};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ProductsWrite};
use crate::http::reply::{Data, NoContent};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

const COLUMNS: &str = "a.review_id AS id, a.product_id, a.organization_id, a.user_id, a.reply, a.created_at, a.updated_at";

const REPLY: Subject = Subject {
    kind: "review",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The replies of the caller's organization.
fn mine(tx: &Tx) -> Rows {
    Rows::of("product_review_replies", "a")
        .known_by("review_id")
        .when("a.organization_id = {}::uuid", tx.scope().organization())
}

#[derive(Deserialize)]
struct Reviewed {
    product_id: Uuid,
    organization_id: Uuid,
}

/// The caller's own product that a review is of.
async fn reviewed(tx: &mut Tx, review: Uuid) -> Result<Reviewed> {
    let query = sql("SELECT p.id AS product_id, p.organization_id
         FROM catalogue_reviews r JOIN products p ON p.id = r.product_id
         WHERE r.review_id = $1::uuid AND p.deleted_at IS NULL AND ($2 IS NULL OR p.organization_id = $2::uuid)")
    .bind(review)
    .bind(tx.scope().organization());
    tx.one(query, Code::ReviewNotFound).await
}

/// Says the vendor's word to a review of an own product; a second time in the place of the first.
pub async fn reply(
    permit: Permit<ProductsWrite>,
    Id(id): Id,
    Once(key, Body(new)): Once<Body<NewReply>>,
) -> Outcome<Data<Reply>> {
    let mut tx = permit.begin_once(key).await?;
    let of = reviewed(&mut tx, id).await?;
    let query = mine(&tx).id(id).lock(COLUMNS);
    let before: Option<Raw<Reply>> = tx.row(query).await?;
    let query = sql(format!(
        "INSERT INTO product_review_replies AS a (review_id, product_id, organization_id, user_id, reply)
         VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5)
         ON CONFLICT (review_id) DO UPDATE SET reply = excluded.reply, user_id = excluded.user_id
         RETURNING {COLUMNS}"
    ))
    .bind(id)
    .bind(of.product_id)
    .bind(of.organization_id)
    .bind(permit.principal.user_id)
    .bind(new.reply)
    // Its author took it back a moment ago.
    .on("product_review_replies_review_id_fkey", Code::ReviewNotFound);
    let after: Raw<Reply> = tx.one(query, Code::ReviewNotFound).await?;
    let before = before.map_or(Value::Null, |row| row.tree());
    tx.record_between(&REPLY, "review.replied", &before, &after.tree());
    permit.commit(tx, Data::raw(&after)).await
}

/// Takes the vendor's word back.
pub async fn remove(
    permit: Permit<ProductsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let query = mine(&tx).id(id).delete(COLUMNS);
    let before: Raw<Reply> = tx.one(query, Code::ReviewNotFound).await?;
    tx.record_end(&REPLY, "review.reply_removed", &before);
    permit.commit(tx, NoContent::done()).await
}
