//! `GET /api/my/assets` and `GET /api/my/assets/{id}`

use super::model::Asset;
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, Raw};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{AssetsRead, Permit};
use crate::http::reply::Data;
use crate::http::types::Ident;
use celaest_domain::market::asset::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AssetFilters")]
pub struct Filters {
    /// Only what became this.
    pub status: Option<Status>,
    /// Only this product.
    pub product_id: Option<Ident>,
    /// Only what this person owns.
    pub user_id: Option<Ident>,
}

/// Lists what the organization owns; a client sees only the own ones.
pub async fn list(
    permit: Permit<AssetsRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Asset>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .when(
            "CASE WHEN a.status = 'active' AND a.expires_at <= now() THEN 'expired' ELSE a.status::text END = {}",
            f.status.map(Status::as_str),
        )
        .when("a.product_id = {}::uuid", f.product_id)
        .when("a.user_id = {}::uuid", f.user_id);
    tx.page(found, COLUMNS, "a.created_at {}, a.id {}", &page)
        .await
}

/// Reads one thing that is owned.
pub async fn read(permit: Permit<AssetsRead>, Id(id): Id) -> Result<Data<Asset>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let asset: Raw<Asset> = tx.only_one(query, Code::AssetNotFound).await?;
    Ok(Data::raw(&asset))
}
