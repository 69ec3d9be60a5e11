//! A product as everybody sees it.

use super::super::model::{Image, ProductType};
use celaest_domain::calendar::BillingCycle;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A product in a list of the catalogue.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CatalogueProduct {
    /// Identifier.
    pub id: Uuid,
    /// Who sells it.
    pub vendor_id: Uuid,
    /// The vendor's name.
    pub vendor_name: String,
    /// What it is sorted into.
    pub category_id: Option<Uuid>,
    /// Its name for people.
    pub name: String,
    /// Its name in links.
    pub slug: String,
    /// It in a sentence.
    pub short_description: Option<String>,
    /// What kind of thing it is.
    pub product_type: ProductType,
    /// What it costs.
    pub price: f64,
    /// What it cost before.
    pub original_price: Option<f64>,
    /// ISO 4217.
    pub currency: String,
    /// Whether it is paid for again and again.
    pub is_subscription: bool,
    /// How often.
    pub billing_cycle: Option<BillingCycle>,
    /// Whether the platform features it.
    pub is_featured: bool,
    /// Whether the platform calls it popular.
    pub is_popular: bool,
    /// Stars on average.
    pub avg_rating: Option<f64>,
    /// Reviews.
    pub review_count: u32,
    /// Downloads of all releases.
    pub download_count: u64,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Its picture in lists.
    pub image_url: Option<String>,
    /// When it first was on sale.
    pub published_at: String,
}

/// A product of the catalogue with everything that everybody may know of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// What lists show of it.
    #[serde(flatten)]
    pub product: CatalogueProduct,
    /// It in detail.
    pub description: Option<String>,
    /// What it can do.
    pub features: Vec<String>,
    /// Its pictures.
    pub images: Vec<Image>,
    /// What it needs, by name.
    pub requirements: Map<String, Value>,
    /// The plan of the license that a purchase makes.
    pub plan_id: Option<Uuid>,
    /// Downloads that a purchase includes; null is no limit.
    pub download_limit: Option<u32>,
    /// Reviews with one to five stars.
    pub rating_counts: Vec<u32>,
    /// The version of its latest stable release.
    pub latest_version: Option<String>,
    /// When it last changed.
    pub updated_at: String,
}

/// A product that was found, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Hit {
    /// What lists show of it.
    #[serde(flatten)]
    pub product: CatalogueProduct,
    /// Where the words are.
    pub highlight: Highlight,
}

/// Texts as HTML in which the words that were looked for are marked with `<mark>`; everything else is
/// escaped. Null where none of them are.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Highlight {
    /// The name.
    pub name: Option<String>,
    /// The sentence.
    pub short_description: Option<String>,
    /// A piece of the description.
    pub description: Option<String>,
}

/// One value, and how many have it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Facet {
    /// What a filter is given for it.
    pub value: String,
    /// Its name, where it has another one.
    pub name: Option<String>,
    /// Products.
    pub count: u32,
}

/// What the products that were found have in common.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Facets {
    /// By category, the most first.
    pub category_id: Vec<Facet>,
    /// By kind.
    pub product_type: Vec<Facet>,
    /// Paid once, or again and again.
    pub is_subscription: Vec<Facet>,
    /// By currency.
    pub currency: Vec<Facet>,
    /// With at least so many stars.
    pub min_rating: Vec<Facet>,
    /// By tag, the 20 that most have.
    pub tag: Vec<Facet>,
}

/// How what was found is what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SearchMatch")]
pub enum Match {
    /// It has the words, other forms of them, or words that begin so.
    Words,
    /// Nothing has them; it has words that look like them.
    Similar,
    /// Nothing was found.
    None,
}

/// What was found.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SearchResult {
    /// The page's products, the best first.
    pub hits: Vec<Hit>,
    /// Of all products that were found.
    pub facets: Facets,
    /// How it is what was looked for.
    #[serde(rename = "match")]
    pub matched: Match,
    /// The language whose word forms were looked for.
    pub language: String,
    /// Counted from 1.
    pub page: u32,
    /// Products on a full page.
    pub per_page: u32,
    /// Products that were found. Of more than 1,000 the most popular 1,000 are looked at.
    pub total: u32,
    /// There are more than `total`.
    pub has_more: bool,
}
