//! `POST /api/products/{id}/reviews`

use super::model::{NewReview, Review};
use super::queries::{COLUMNS, REVIEW};
use crate::db::{Raw, sql};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReviewsWrite};
use crate::http::reply::Created;
use crate::modules::products::catalogue;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct Vendor {
    vendor_id: Uuid,
}

/// Reviews a product that is on sale: once, and not the own organization's.
pub async fn create(
    permit: Permit<ReviewsWrite>,
    Id(id): Id,
    Once(key, Body(new)): Once<Body<NewReview>>,
) -> Outcome<Created<Review>> {
    let mut tx = permit.begin_once(key).await?;
    let organization = permit.organization(permit.principal.organization_id)?;
    let product = catalogue::queries::all().id(id).read("c.vendor_id");
    let vendor: Vendor = tx.one(product, Code::ProductNotFound).await?;
    if vendor.vendor_id == organization {
        return Err(Code::OwnProduct.into());
    }
    let query = sql(format!(
        "INSERT INTO product_reviews AS r (product_id, organization_id, user_id, rating, title, comment, is_verified,
           author_name)
         SELECT $1::uuid, $2::uuid, $3::uuid, $4::smallint, $5, $6,
           EXISTS (SELECT 1 FROM customer_assets a WHERE a.product_id = $1::uuid AND a.organization_id = $2::uuid
             AND a.status <> 'revoked'),
           (SELECT left(coalesce(u.display_name, nullif(concat_ws(' ', u.first_name, left(u.last_name, 1) || '.'), '')), 100)
            FROM users_profile u WHERE u.id = $3::uuid)
         RETURNING {COLUMNS}"
    ))
    .bind(id)
    .bind(organization)
    .bind(permit.principal.user_id)
    .bind(u32::from(new.rating))
    .bind(new.title)
    .bind(new.comment)
    .on("product_reviews_product_user_key", Code::ReviewExists);
    let review: Raw<Review> = tx.one(query, Code::Internal).await?;
    tx.record_new(&REVIEW, "review.created", &review);
    permit.commit(tx, Created::raw(&review)).await
}
