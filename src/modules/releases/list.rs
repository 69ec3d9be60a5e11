//! `GET /api/products/{id}/releases` and `GET /api/my/products/{id}/releases`

use super::model::{PublicRelease, Release};
use super::queries::{COLUMNS, PUBLIC, mine, public};
use crate::db::{Key, Listing};
use crate::error::{Code, Result};
use crate::http::params::{Browser, Id, Paged};
use crate::http::permit::{Permit, ProductsRead};
use crate::http::reply::Shared;
use crate::modules::products::{self, catalogue};
use celaest_domain::market::release::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ReleaseFilters")]
pub struct Filters {
    /// Only this status.
    pub status: Option<Status>,
}

/// By version, and what makes it certain.
const BY: &str = "r.version_order {}, r.release_id {}";
const KEY: Key = &[("version_order", "text"), ("release_id", "uuid")];

/// Lists the published releases of a product that is on sale, the latest version first.
pub async fn list(
    Browser(call): Browser,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Shared<Listing<PublicRelease>>> {
    let product = catalogue::queries::all().id(id);
    let found = public()
        .within(product, "r.product_id", Code::ProductNotFound)
        .growing(KEY)
        .when(
            "r.status = {}::release_status",
            f.status.map(Status::as_str),
        );
    let page = call.begin_open().page(found, PUBLIC, BY, &page).await?;
    Ok(Shared(page))
}

/// Lists all releases of an own product, the latest version first.
pub async fn own(
    permit: Permit<ProductsRead>,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Release>> {
    let tx = permit.begin();
    let product = products::queries::mine(&tx).id(id);
    let found = mine(&tx)
        .within(product, "r.product_id", Code::ProductNotFound)
        .when(
            "r.status = {}::release_status",
            f.status.map(Status::as_str),
        );
    tx.page(found, COLUMNS, "r.version_order {}, r.id {}", &page)
        .await
}
