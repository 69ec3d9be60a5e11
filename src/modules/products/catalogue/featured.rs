//! `GET /api/products/featured`

use super::model::CatalogueProduct;
use super::queries::{COLUMNS, all};
use crate::db::Listing;
use crate::error::Result;
use crate::http::params::{Browser, Paged};
use crate::http::reply::Shared;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// No filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FeaturedFilters")]
pub struct Filters {}

/// Lists what the platform features, the most popular first.
pub async fn featured(
    Browser(call): Browser,
    Paged(Filters {}, page): Paged<Filters>,
) -> Result<Shared<Listing<CatalogueProduct>>> {
    let found = all()
        .only("c.is_featured")
        .growing(&[("popularity", "numeric"), ("product_id", "uuid")]);
    let by = "c.popularity {}, c.product_id {}";
    let page = call.begin_open().page(found, COLUMNS, by, &page).await?;
    Ok(Shared(page))
}
