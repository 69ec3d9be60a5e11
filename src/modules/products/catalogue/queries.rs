//! The SQL of the catalogue: a copy that holds nothing to be hidden, so it is read without a tenant and
//! with every index (`migrations/V050__catalogue.sql`).

use crate::db::Rows;
use celaest_domain::market::release::Status;

/// The columns of [`super::model::CatalogueProduct`], from alias `c`.
pub const COLUMNS: &str = "c.product_id AS id, c.vendor_id, c.vendor_name, c.category_id, c.name, c.slug,
    c.short_description, c.product_type, c.price, c.original_price, c.currency, c.is_subscription, c.billing_cycle,
    c.is_featured, c.is_popular, c.avg_rating, c.review_count, c.download_count, c.tags, c.image_url, c.published_at";

/// The columns of [`super::model::CatalogueEntry`], from alias `c`.
pub fn entry() -> String {
    let stable = Status::Stable.as_str();
    format!(
        "{COLUMNS}, c.description, c.features, c.images, c.requirements, c.plan_id, c.download_limit,
         c.rating_counts, c.changed_at AS updated_at,
         (SELECT r.version FROM catalogue_releases r
          WHERE r.product_id = c.product_id AND r.status = '{stable}'
          ORDER BY r.version_order DESC LIMIT 1) AS latest_version"
    )
}

/// Everything that is on sale.
pub fn all() -> Rows {
    Rows::of("catalogue_products", "c").known_by("product_id")
}
