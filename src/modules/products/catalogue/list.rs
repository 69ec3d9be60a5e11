//! `GET /api/products`

use super::filters::Filters;
use super::model::CatalogueProduct;
use super::queries::COLUMNS;
use crate::db::{Key, Listing};
use crate::error::Result;
use crate::http::params::{Browser, Paged};
use crate::http::reply::Shared;
use schemars::JsonSchema;
use serde::Deserialize;

/// What to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CatalogueSort")]
pub enum Sort {
    /// When it first was on sale.
    #[default]
    PublishedAt,
    /// Downloads, stars and reviews together.
    Popularity,
    /// What it costs.
    Price,
    /// Stars on average.
    Rating,
    /// Its name.
    Name,
}

impl Sort {
    fn by(self) -> (Key, &'static str) {
        match self {
            Sort::PublishedAt => (
                &[("published_at", "timestamptz"), ("product_id", "uuid")],
                "c.published_at {}, c.product_id {}",
            ),
            Sort::Popularity => (
                &[("popularity", "numeric"), ("product_id", "uuid")],
                "c.popularity {}, c.product_id {}",
            ),
            Sort::Price => (
                &[("price", "numeric"), ("product_id", "uuid")],
                "c.price {}, c.product_id {}",
            ),
            Sort::Rating => (
                &[("rating", "numeric"), ("product_id", "uuid")],
                "c.rating {}, c.product_id {}",
            ),
            Sort::Name => (
                &[("name", "text"), ("product_id", "uuid")],
                "c.name {}, c.product_id {}",
            ),
        }
    }
}

/// What the list has besides the filters.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Sorted")]
pub struct Sorting {
    /// What to sort by.
    #[serde(default)]
    pub sort: Sort,
}

/// Lists what is on sale.
pub async fn list(
    Browser(call): Browser,
    Paged(f, page): Paged<Filters<Sorting>>,
) -> Result<Shared<Listing<CatalogueProduct>>> {
    let (key, by) = f.more.sort.by();
    let found = f.rows().growing(key);
    let page = call.begin_open().page(found, COLUMNS, by, &page).await?;
    Ok(Shared(page))
}
