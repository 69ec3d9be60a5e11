//! `GET /api/my/products`

use super::model::{Product, ProductType};
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{Permit, ProductsRead};
use crate::http::types::Ident;
use celaest_domain::market::product::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ProductFilters")]
pub struct Filters {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this kind.
    pub product_type: Option<ProductType>,
    /// Only this category.
    pub category_id: Option<Ident>,
    /// Part of the code, the name or the slug.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
}

/// Lists the organization's own products, whatever became of them.
pub async fn list(
    permit: Permit<ProductsRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Product>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .growing(&[("created_at", "timestamptz"), ("id", "uuid")])
        .when(
            "p.status = {}::product_status",
            f.status.map(Status::as_str),
        )
        .when(
            "p.product_type = {}::product_type",
            f.product_type.map(ProductType::as_str),
        )
        .when("p.category_id = {}::uuid", f.category_id)
        .sought(
            "(p.code ILIKE {} OR p.name ILIKE {} OR p.slug ILIKE {})",
            containing(f.search.as_deref()),
        );
    tx.page(found, COLUMNS, "p.created_at {}, p.id {}", &page)
        .await
}
