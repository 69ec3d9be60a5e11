//! `PATCH /api/products/{id}`

use super::model::{Product, ProductChanges};
use super::queries::{self, COLUMNS, Facts, PRODUCT, TAGS, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ProductsWrite};
use crate::http::reply::Data;
use crate::modules::licenses::many::{self, Whose};
use celaest_domain::market::product::Status;

/// Changes a product, puts it on sale or takes it off. Licenses for it are validated by what it is from then on.
pub async fn update(
    permit: Permit<ProductsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<ProductChanges>>,
) -> Outcome<Data<Product>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    queries::check_praise(
        &permit,
        wanted.is_featured.is_present(),
        wanted.is_popular.is_present(),
    )?;
    let after = planned(&before.facts, &wanted);
    after.check()?;
    if !before.facts.status.may_become(after.status) {
        return Err(Code::ProductStatusConflict.into());
    }
    queries::check_references(&mut tx, wanted.category_id.value(), wanted.plan_id.value()).await?;
    let status = wanted.status.value().map(|status| status.as_str());
    let kind = wanted.product_type.value().map(|kind| kind.as_str());
    let set = Set::new()
        .patch("category_id = {}::uuid", &wanted.category_id)
        .patch("name = {}", &wanted.name)
        .patch("slug = {}", &wanted.slug)
        .patch("short_description = {}", &wanted.short_description)
        .patch("description = {}", &wanted.description)
        .when("product_type = {}::product_type", kind)
        .when("status = {}::product_status", status)
        .patch("price = {}::numeric", &wanted.price)
        .patch("original_price = {}::numeric", &wanted.original_price)
        .patch("currency = {}", &wanted.currency)
        .patch("is_subscription = {}::boolean", &wanted.is_subscription)
        .patch("billing_cycle = {}::billing_cycle", &wanted.billing_cycle)
        .patch("plan_id = {}::uuid", &wanted.plan_id)
        .patch("download_limit = {}::integer", &wanted.download_limit)
        .patch("is_featured = {}::boolean", &wanted.is_featured)
        .patch("is_popular = {}::boolean", &wanted.is_popular)
        .patch_json("features = coalesce({}::jsonb, '[]')", &wanted.features)
        .patch_json(TAGS, &wanted.tags)
        .patch("image_url = {}", &wanted.image_url)
        .patch_json("images = coalesce({}::jsonb, '[]')", &wanted.images)
        .patch_json(
            "requirements = coalesce({}::jsonb, '{}')",
            &wanted.requirements,
        )
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata);
    let query = queries::named(mine(&tx).id(id).set(set, COLUMNS));
    let row: Raw<Product> = tx.one(query, Code::ProductNotFound).await?;
    let event = match (before.facts.status == after.status, after.status) {
        (false, Status::Published) => "product.published",
        (false, Status::Archived) => "product.archived",
        _ => "product.updated",
    };
    tx.record_change(&PRODUCT, event, &before.row, &row);
    if before.facts.status != after.status || wanted.name.is_present() {
        many::change_behind(&mut tx, Whose::Product(id));
    }
    permit.commit(tx, Data::raw(&row)).await
}

/// What rules look at, after the change.
fn planned(now: &Facts, wanted: &ProductChanges) -> Facts {
    let now = now.clone();
    Facts {
        status: wanted.status.over(now.status),
        price: wanted.price.over(now.price),
        original_price: wanted.original_price.or(now.original_price, |price| *price),
        currency: wanted.currency.over(now.currency),
        is_subscription: wanted.is_subscription.over(now.is_subscription),
        billing_cycle: wanted.billing_cycle.or(now.billing_cycle, |cycle| *cycle),
        organization_id: now.organization_id,
        sold_at: now.sold_at,
    }
}
