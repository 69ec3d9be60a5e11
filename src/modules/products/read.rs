//! `GET /api/my/products/{id}`

use super::model::Product;
use super::queries::{COLUMNS, mine};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::Id;
use crate::http::permit::{Permit, ProductsRead};
use crate::http::reply::Data;

/// Reads one of the organization's own products.
pub async fn read(permit: Permit<ProductsRead>, Id(id): Id) -> Result<Data<Product>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let product: Raw<Product> = tx.only_one(query, Code::ProductNotFound).await?;
    Ok(Data::raw(&product))
}
