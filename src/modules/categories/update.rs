//! `PATCH /api/categories/{id}`

use super::model::{Category, CategoryChanges};
use super::queries::{self, CATEGORY, COLUMNS, all};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{CategoriesWrite, Permit};
use crate::http::reply::Data;
use celaest_domain::market::category;

/// Changes a category, or moves it with everything in it.
pub async fn update(
    permit: Permit<CategoriesWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<CategoryChanges>>,
) -> Outcome<Data<Category>> {
    let mut tx = permit.begin_once(key).await?;
    let parents = queries::lock_tree(&mut tx).await?;
    let before = queries::lock(&mut tx, id).await?;
    if wanted.parent_id.is_present() {
        let parent = wanted.parent_id.value().map(|parent| parent.0);
        category::place(&parents, id, parent).map_err(Error::from)?;
    }
    let set = Set::new()
        .patch("parent_id = {}::uuid", &wanted.parent_id)
        .patch("name = {}", &wanted.name)
        .patch("slug = {}", &wanted.slug)
        .patch("description = {}", &wanted.description)
        .patch("icon = {}", &wanted.icon)
        .patch("sort_order = {}::integer", &wanted.sort_order)
        .patch("is_active = {}::boolean", &wanted.is_active);
    let query = all()
        .id(id)
        .set(set, COLUMNS)
        .on("product_categories_slug_key", Code::CategorySlugTaken);
    let after: Raw<Category> = tx.one(query, Code::CategoryNotFound).await?;
    tx.record_change(&CATEGORY, "category.updated", &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}
