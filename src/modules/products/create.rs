//! `POST /api/products`

use super::model::{NewProduct, Product};
use super::queries::{self, COLUMNS, Facts, PRODUCT, TAGS};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, ProductsWrite};
use crate::http::reply::Created;
use crate::modules::plans::model::DEFAULT_CURRENCY;
use celaest_domain::contact::slug_of;
use celaest_domain::market::product::Status;
use serde_json::json;

/// Makes a product.
pub async fn create(
    permit: Permit<ProductsWrite>,
    Once(key, Body(new)): Once<Body<NewProduct>>,
) -> Outcome<Created<Product>> {
    let mut tx = permit.begin_once(key).await?;
    let organization = permit.organization(new.organization_id.map(|id| id.0))?;
    queries::check_praise(
        &permit,
        new.is_featured == Some(true),
        new.is_popular == Some(true),
    )?;
    let facts = Facts {
        organization_id: organization,
        status: new.status.unwrap_or(Status::Draft),
        price: new.price,
        original_price: new.original_price,
        currency: new
            .currency
            .clone()
            .unwrap_or_else(|| DEFAULT_CURRENCY.into()),
        is_subscription: new.is_subscription,
        billing_cycle: new.billing_cycle,
        sold_at: None,
    };
    facts.check()?;
    if facts.status == Status::Archived {
        return Err(Error::field("status", "cannot be archived from the start").into());
    }
    let slug = new.slug.or_else(|| slug_of(&new.name));
    let slug = slug.ok_or_else(|| Error::field("slug", "is required"))?;
    queries::check_references(&mut tx, new.category_id.as_ref(), new.plan_id.as_ref()).await?;
    let query = Set::new()
        .to("organization_id = {}::uuid", organization)
        .to("category_id = {}::uuid", new.category_id)
        .to("code = {}", &new.code)
        .to("name = {}", &new.name)
        .to("slug = {}", slug)
        .to("short_description = {}", new.short_description.as_deref())
        .to("description = {}", new.description.as_deref())
        .to("product_type = {}::product_type", new.product_type.as_str())
        .to("status = {}::product_status", facts.status.as_str())
        .to("price = {}::numeric", new.price)
        .to("original_price = {}::numeric", new.original_price)
        .to("currency = {}", &facts.currency)
        .to("is_subscription = {}::boolean", new.is_subscription)
        .to("billing_cycle = {}::billing_cycle", new.billing_cycle)
        .to("plan_id = {}::uuid", new.plan_id)
        .to("download_limit = {}::integer", new.download_limit)
        .when("is_featured = {}::boolean", new.is_featured)
        .when("is_popular = {}::boolean", new.is_popular)
        .to("features = {}::jsonb", json!(new.features))
        .to(TAGS, json!(new.tags))
        .to("image_url = {}", new.image_url.as_deref())
        .to("images = {}::jsonb", json!(new.images))
        .to("requirements = {}::jsonb", json!(new.requirements))
        .to("metadata = {}::jsonb", json!(new.metadata))
        .insert("products", "p", COLUMNS);
    let query = queries::named(query).on(
        "products_organization_id_fkey",
        Error::field("organization_id", "does not exist"),
    );
    let product: Raw<Product> = tx.one(query, Code::Internal).await?;
    let event = match facts.status {
        Status::Published => "product.published",
        _ => "product.created",
    };
    tx.record_new(&PRODUCT, event, &product);
    permit.commit(tx, Created::raw(&product)).await
}
