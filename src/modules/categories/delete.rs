//! `DELETE /api/categories/{id}`

use super::model::Category;
use super::queries::{self, CATEGORY, COLUMNS, all};
use crate::db::Raw;
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{CategoriesWrite, Permit};
use crate::http::reply::NoContent;

/// Deletes a category that has nothing in it.
pub async fn delete(
    permit: Permit<CategoriesWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let query = all()
        .id(id)
        .delete(COLUMNS)
        .on("products_category_id_fkey", Code::CategoryInUse)
        .on("product_categories_parent_id_fkey", Code::CategoryInUse);
    let _: Raw<Category> = tx.one(query, Code::CategoryNotFound).await?;
    tx.record_end(&CATEGORY, "category.deleted", &before);
    permit.commit(tx, NoContent::done()).await
}
