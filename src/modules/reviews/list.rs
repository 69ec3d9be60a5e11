//! `GET /api/products/{id}/reviews` and `GET /api/my/reviews`

use super::model::{PublicReview, Review};
use super::queries::{COLUMNS, PUBLIC, mine, public};
use crate::db::{Key, Listing};
use crate::error::{Code, Result};
use crate::http::params::{Browser, Id, Paged};
use crate::http::permit::{Permit, ReviewsWrite};
use crate::http::reply::Shared;
use crate::modules::products::catalogue;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// What to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReviewSort")]
pub enum Sort {
    /// When it was written.
    #[default]
    CreatedAt,
    /// How many find it helpful.
    Helpful,
    /// Stars.
    Rating,
}

impl Sort {
    fn by(self) -> (Key, &'static str) {
        match self {
            Sort::CreatedAt => (
                &[("created_at", "timestamptz"), ("review_id", "uuid")],
                "r.created_at {}, r.review_id {}",
            ),
            Sort::Helpful => (
                &[("helpful_count", "integer"), ("review_id", "uuid")],
                "r.helpful_count {}, r.review_id {}",
            ),
            Sort::Rating => (
                &[("rating", "smallint"), ("review_id", "uuid")],
                "r.rating {}, r.review_id {}",
            ),
        }
    }
}

/// Filters and sorting.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ReviewFilters")]
pub struct Filters {
    /// Only those with so many stars.
    #[garde(inner(range(min = 1, max = 5)))]
    pub rating: Option<u8>,
    /// Only those whose author's organization has the product, or only the others.
    pub is_verified: Option<bool>,
    /// What to sort by.
    #[serde(default)]
    pub sort: Sort,
}

/// Lists what is said of a product that is on sale.
pub async fn list(
    Browser(call): Browser,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Shared<Listing<PublicReview>>> {
    let (key, by) = f.sort.by();
    let product = catalogue::queries::all().id(id);
    let found = public()
        .within(product, "r.product_id", Code::ProductNotFound)
        .growing(key)
        .when("r.rating = {}::smallint", f.rating.map(u32::from))
        .when("r.is_verified = {}::boolean", f.is_verified);
    let page = call.begin_open().page(found, PUBLIC, by, &page).await?;
    Ok(Shared(page))
}

/// No filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OwnReviewFilters")]
pub struct NoFilters {}

/// Lists what the caller said of products.
pub async fn own(
    permit: Permit<ReviewsWrite>,
    Paged(NoFilters {}, page): Paged<NoFilters>,
) -> Result<Listing<Review>> {
    let tx = permit.begin();
    let found = mine(&tx, permit.principal.user_id);
    tx.page(found, COLUMNS, "r.created_at {}, r.id {}", &page)
        .await
}
