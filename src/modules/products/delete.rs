//! `DELETE /api/products/{id}`

use super::model::Product;
use super::queries::{self, COLUMNS, PRODUCT, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ProductsWrite};
use crate::http::reply::NoContent;

/// Deletes a product that nobody has.
pub async fn delete(
    permit: Permit<ProductsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let vendor = before.facts.organization_id;
    if before.facts.sold_at.is_some() || queries::is_licensed(&mut tx, id, vendor).await? {
        return Err(Code::ProductSold.into());
    }
    let set = Set::new().fixed("deleted_at = now(), status = 'archived'");
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let _: Raw<Product> = tx.one(query, Code::ProductNotFound).await?;
    tx.record_end(&PRODUCT, "product.deleted", &before.row);
    permit.commit(tx, NoContent::done()).await
}
