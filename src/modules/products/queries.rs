//! The SQL of vendors' own products.

use super::model::Product;
use crate::db::facts::{Subject, without};
use crate::db::{Bind, Query, Raw, Rows, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::permit::Access;
use crate::http::types::Ident;
use crate::modules::plans::model::Price;
use crate::modules::plans::queries::are_payable;
use celaest_domain::calendar::BillingCycle;
use celaest_domain::json;
use celaest_domain::market::product::Status;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// The columns of [`Product`], from alias `p`.
pub const COLUMNS: &str = "p.id, p.organization_id, p.category_id, p.code, p.name, p.slug, p.short_description,
    p.description, p.product_type, p.status, p.price, p.original_price, p.currency, p.is_subscription,
    p.billing_cycle, p.plan_id, p.download_limit, p.is_featured, p.is_popular, p.avg_rating, p.review_count,
    p.download_count, p.features, p.tags, p.image_url, p.images, p.requirements, p.metadata, p.published_at,
    p.sold_at, p.created_at, p.updated_at";

/// An assignment from a JSON list; null is an empty one.
pub const TAGS: &str = "tags = ARRAY(SELECT jsonb_array_elements_text({}::jsonb))";

/// What the log and the outside learn of a product: the outside not what is kept with it.
pub const PRODUCT: Subject = Subject {
    kind: "product",
    tenant: "organization_id",
    secret: &[],
    told: Some(|product| json!({ "product": without(product, &["metadata"]) })),
};

/// The caller's own products.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("products", "p")
        .when("p.organization_id = {}::uuid", tx.scope().organization())
        .only("p.deleted_at IS NULL")
}

/// A product whose row is held.
pub struct Locked {
    /// The row.
    pub row: Raw<Product>,
    /// What rules look at.
    pub facts: Facts,
}

/// The fields of a product that rules look at.
#[derive(Debug, Clone, Deserialize)]
pub struct Facts {
    /// The vendor.
    pub organization_id: Uuid,
    /// What became of it.
    pub status: Status,
    /// What it costs.
    pub price: Price,
    /// What it cost before.
    pub original_price: Option<Price>,
    /// ISO 4217.
    pub currency: String,
    /// Whether it is paid for again and again.
    pub is_subscription: bool,
    /// How often.
    pub billing_cycle: Option<BillingCycle>,
    /// When somebody first came to own it.
    pub sold_at: Option<String>,
}

impl Facts {
    /// Checks what it costs, and how often.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn check(&self) -> Result<()> {
        let prices = [
            ("price", Some(self.price)),
            ("original_price", self.original_price),
        ];
        are_payable(&self.currency, &prices)?;
        if self
            .original_price
            .is_some_and(|before| before.hundredths() < self.price.hundredths())
        {
            return Err(Error::field(
                "original_price",
                "must not be below the price",
            ));
        }
        let problem = match self.billing_cycle {
            _ if !self.is_subscription => return Ok(()),
            None => "is required for a subscription",
            Some(BillingCycle::Lifetime) => "must not be lifetime for a subscription",
            Some(_) => return Ok(()),
        };
        Err(Error::field("billing_cycle", problem))
    }
}

/// Reads one product and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).lock(COLUMNS);
    let row: Raw<Product> = tx.one(query, Code::ProductNotFound).await?;
    let facts = json::read(row.text()).map_err(Error::internal)?;
    Ok(Locked { row, facts })
}

/// Checks that what a product refers to is there.
///
/// # Errors
/// 422 naming the field.
pub async fn check_references(
    tx: &mut Tx,
    category: Option<&Ident>,
    plan: Option<&Ident>,
) -> Result<()> {
    if category.is_none() && plan.is_none() {
        return Ok(());
    }
    let missing: Option<String> = tx
        .value(
            sql("SELECT to_json(CASE
                   WHEN $1 IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM product_categories WHERE id = $1::uuid) THEN 'category_id'
                   WHEN $2 IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM subscription_plans WHERE id = $2::uuid AND is_active) THEN 'plan_id'
                 END)::text")
            .bind(category)
            .bind(plan),
        )
        .await?;
    missing.map_or(Ok(()), |field| Err(Error::field(&field, "does not exist")))
}

/// Refuses what only the platform says of a product to everybody else.
///
/// # Errors
/// 422 naming the field.
pub fn check_praise(access: &Access, featured: bool, popular: bool) -> Result<()> {
    let field = match (access.scope().organization(), featured, popular) {
        (Some(_), true, _) => "is_featured",
        (Some(_), _, true) => "is_popular",
        _ => return Ok(()),
    };
    Err(Error::field(field, "is for super_admin to set"))
}

/// A statement whose refusals are the caller's mistakes.
pub fn named(query: Query) -> Query {
    query
        .on("products_slug_key", Code::ProductSlugTaken)
        .on("products_organization_code_key", Code::ProductCodeTaken)
        .on(
            "products_category_id_fkey",
            Error::field("category_id", "does not exist"),
        )
}

/// Whether licenses of the vendor's own are for the product.
///
/// # Errors
/// When the database fails.
pub async fn is_licensed(tx: &mut Tx, id: Uuid, organization: impl Bind) -> Result<bool> {
    let query = sql("SELECT to_json(EXISTS (
           SELECT 1 FROM licenses l WHERE l.product_id = $1::uuid AND l.organization_id = $2::uuid))::text")
    .bind(id)
    .bind(organization);
    tx.value(query).await
}
