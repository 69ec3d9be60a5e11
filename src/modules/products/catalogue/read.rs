//! `GET /api/products/{id}` and `GET /api/products/by-slug/{key}`

use super::model::CatalogueEntry;
use super::queries::{all, entry};
use crate::db::{Raw, sql};
use crate::error::{Code, Result};
use crate::http::params::{Browser, Id, Key};
use crate::http::reply::{Data, Found, Shared};

/// Reads one product that is on sale.
pub async fn read(Browser(call): Browser, Id(id): Id) -> Result<Shared<Data<CatalogueEntry>>> {
    let query = all().id(id).read(&entry());
    let tx = call.begin_open();
    let product: Raw<CatalogueEntry> = tx.only_one(query, Code::ProductNotFound).await?;
    Ok(Shared(Data::raw(&product)))
}

/// Reads one product that is on sale by its name in links. A name that it had before leads to the one it has
/// now.
pub async fn by_slug(Browser(call): Browser, Key(slug): Key) -> Result<Found<CatalogueEntry>> {
    let mut tx = call.begin_open();
    let query = all().when("c.slug = {}", Some(&slug)).read(&entry());
    let found: Option<Raw<CatalogueEntry>> = tx.row(query).await?;
    if let Some(product) = found {
        return Ok(Found::Here(Data::raw(&product)));
    }
    let query = sql("SELECT c.slug FROM catalogue_slugs s
         JOIN catalogue_products c ON c.product_id = s.product_id WHERE s.slug = $1")
    .bind(slug);
    #[derive(serde::Deserialize)]
    struct Now {
        slug: String,
    }
    let now: Now = tx.only_one(query, Code::ProductNotFound).await?;
    Ok(Found::Moved(format!("/api/products/by-slug/{}", now.slug)))
}
