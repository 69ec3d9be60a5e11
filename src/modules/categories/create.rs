//! `POST /api/categories`

use super::model::{Category, NewCategory};
use super::queries::{self, CATEGORY, COLUMNS};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{CategoriesWrite, Permit};
use crate::http::reply::Created;
use celaest_domain::contact::slug_of;
use celaest_domain::market::category::{self, MAX_CATEGORIES};
use uuid::Uuid;

/// Makes a category.
pub async fn create(
    permit: Permit<CategoriesWrite>,
    Once(key, Body(new)): Once<Body<NewCategory>>,
) -> Outcome<Created<Category>> {
    let mut tx = permit.begin_once(key).await?;
    let parents = queries::lock_tree(&mut tx).await?;
    if parents.len() >= MAX_CATEGORIES {
        return Err(Code::CategoryLimitReached.into());
    }
    let (id, parent) = (Uuid::new_v4(), new.parent_id.map(|parent| parent.0));
    category::place(&parents, id, parent).map_err(Error::from)?;
    let slug = new.slug.or_else(|| slug_of(&new.name));
    let slug = slug.ok_or_else(|| Error::field("slug", "is required"))?;
    let query = Set::new()
        .to("id = {}::uuid", id)
        .to("parent_id = {}::uuid", parent)
        .to("name = {}", &new.name)
        .to("slug = {}", slug)
        .to("description = {}", new.description.as_deref())
        .to("icon = {}", new.icon.as_deref())
        .when("sort_order = {}::integer", new.sort_order)
        .when("is_active = {}::boolean", new.is_active)
        .insert("product_categories", "c", COLUMNS)
        .on("product_categories_slug_key", Code::CategorySlugTaken);
    let category: Raw<Category> = tx.one(query, Code::Internal).await?;
    tx.record_new(&CATEGORY, "category.created", &category);
    permit.commit(tx, Created::raw(&category)).await
}
