//! A product as its vendor sees it, how it is made and how it is changed.

use crate::http::checks::{self, Given};
use crate::http::types::{Ident, Patch, not_null};
use crate::modules::plans::model::Price;
use celaest_domain::calendar::BillingCycle;
use celaest_domain::contact::{is_https_url, is_seen};
use celaest_domain::market::product::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 10_000;
/// Pictures of a product.
const MAX_IMAGES: usize = 10;
/// Downloads that a purchase may include.
const MAX_DOWNLOADS: u32 = 1_000_000;

/// What kind of thing a product is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProductType {
    /// A program to install.
    #[default]
    Software,
    /// A service to sign in to.
    Saas,
    /// An interface for programs.
    Api,
    /// Something to begin with.
    Template,
    /// Data.
    Dataset,
    /// Something to learn.
    Course,
    /// Work that somebody does.
    Service,
}

impl ProductType {
    /// The database's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Saas => "saas",
            Self::Api => "api",
            Self::Template => "template",
            Self::Dataset => "dataset",
            Self::Course => "course",
            Self::Service => "service",
        }
    }
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProductImage")]
pub struct Image {
    /// Where it is, `https`.
    pub url: String,
    /// What it shows, for those who do not see it.
    #[serde(default)]
    pub alt: Option<String>,
}

/// A product as its vendor sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Product {
    /// Identifier.
    pub id: Uuid,
    /// The vendor.
    pub organization_id: Uuid,
    /// What it is sorted into.
    pub category_id: Option<Uuid>,
    /// Its part of license keys.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// Its name in links.
    pub slug: String,
    /// It in a sentence.
    pub short_description: Option<String>,
    /// It in detail.
    pub description: Option<String>,
    /// What kind of thing it is.
    pub product_type: ProductType,
    /// What became of it.
    pub status: Status,
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
    /// The plan of the license that a purchase makes.
    pub plan_id: Option<Uuid>,
    /// Downloads that a purchase includes; null is no limit.
    pub download_limit: Option<u32>,
    /// Whether the platform features it.
    pub is_featured: bool,
    /// Whether the platform calls it popular.
    pub is_popular: bool,
    /// Stars on average, of reviews that are shown.
    pub avg_rating: Option<f64>,
    /// Reviews that are shown.
    pub review_count: u32,
    /// Downloads of all releases.
    pub download_count: u64,
    /// What it can do.
    pub features: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Its picture in lists.
    pub image_url: Option<String>,
    /// Its pictures.
    pub images: Vec<Image>,
    /// What it needs, by name.
    pub requirements: Map<String, Value>,
    /// Anything worth keeping with it; nobody else sees it.
    pub metadata: Map<String, Value>,
    /// When it first was on sale.
    pub published_at: Option<String>,
    /// When somebody first came to own it.
    pub sold_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Body of `POST /api/products`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewProduct {
    /// The vendor, for super_admin. Default the own organization.
    #[serde(default)]
    pub organization_id: Option<Ident>,
    /// What it is sorted into.
    #[serde(default)]
    pub category_id: Option<Ident>,
    /// Its part of license keys: 1 to 10 capital letters and digits. Stays for good.
    #[garde(custom(is_code))]
    pub code: String,
    /// Its name for people.
    #[garde(custom(checks::line::<200>))]
    pub name: String,
    /// Its name in links. Default made of the name.
    #[serde(default)]
    #[garde(custom(checks::slug))]
    pub slug: Option<String>,
    /// It in a sentence.
    #[serde(default)]
    #[garde(custom(checks::line::<500>))]
    pub short_description: Option<String>,
    /// It in detail.
    #[serde(default)]
    #[garde(custom(checks::text::<MAX_DESCRIPTION>))]
    pub description: Option<String>,
    /// What kind of thing it is. Default `software`.
    #[serde(default)]
    pub product_type: ProductType,
    /// `draft`, `coming_soon` or `published`. Default `draft`.
    #[serde(default)]
    pub status: Option<Status>,
    /// What it costs.
    pub price: Price,
    /// What it cost before.
    #[serde(default)]
    pub original_price: Option<Price>,
    /// ISO 4217. Default `USD`.
    #[serde(default)]
    #[garde(custom(checks::currency))]
    pub currency: Option<String>,
    /// Whether it is paid for again and again. Default false.
    #[serde(default)]
    pub is_subscription: bool,
    /// How often; required for a subscription.
    #[serde(default)]
    pub billing_cycle: Option<BillingCycle>,
    /// The plan of the license that a purchase makes. Default none.
    #[serde(default)]
    pub plan_id: Option<Ident>,
    /// Downloads that a purchase includes. Default no limit.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MAX_DOWNLOADS)))]
    pub download_limit: Option<u32>,
    /// For super_admin: whether the platform features it.
    #[serde(default)]
    pub is_featured: Option<bool>,
    /// For super_admin: whether the platform calls it popular.
    #[serde(default)]
    pub is_popular: Option<bool>,
    /// What it can do.
    #[serde(default)]
    #[garde(custom(checks::names::<50>))]
    pub features: Vec<String>,
    /// Words to find it by.
    #[serde(default)]
    #[garde(custom(checks::names::<20>))]
    pub tags: Vec<String>,
    /// Its picture in lists.
    #[serde(default)]
    #[garde(custom(checks::https_url))]
    pub image_url: Option<String>,
    /// Its pictures.
    #[serde(default)]
    #[garde(custom(are_images))]
    pub images: Vec<Image>,
    /// What it needs, by name.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub requirements: Map<String, Value>,
    /// Anything worth keeping with it; nobody else sees it.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub metadata: Map<String, Value>,
}

/// Body of `PATCH /api/products/{id}`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ProductChanges {
    /// What it is sorted into.
    pub category_id: Patch<Ident>,
    /// Its name for people.
    #[garde(custom(not_null), custom(checks::line::<200>))]
    #[schemars(with = "String")]
    pub name: Patch<String>,
    /// Its name in links. Links to the name before lead to it still.
    #[garde(custom(not_null), custom(checks::slug))]
    #[schemars(with = "String")]
    pub slug: Patch<String>,
    /// It in a sentence.
    #[garde(custom(checks::line::<500>))]
    pub short_description: Patch<String>,
    /// It in detail.
    #[garde(custom(checks::text::<MAX_DESCRIPTION>))]
    pub description: Patch<String>,
    /// What kind of thing it is.
    #[garde(custom(not_null))]
    #[schemars(with = "ProductType")]
    pub product_type: Patch<ProductType>,
    /// What becomes of it. What was on sale is archived, and no draft again.
    #[garde(custom(not_null))]
    #[schemars(with = "Status")]
    pub status: Patch<Status>,
    /// What it costs.
    #[garde(custom(not_null))]
    #[schemars(with = "Price")]
    pub price: Patch<Price>,
    /// What it cost before.
    pub original_price: Patch<Price>,
    /// ISO 4217.
    #[garde(custom(not_null), custom(checks::currency))]
    #[schemars(with = "String")]
    pub currency: Patch<String>,
    /// Whether it is paid for again and again.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_subscription: Patch<bool>,
    /// How often.
    pub billing_cycle: Patch<BillingCycle>,
    /// The plan of the license that a purchase makes.
    pub plan_id: Patch<Ident>,
    /// Downloads that a purchase includes; null for no limit. Purchases that were made keep theirs.
    #[garde(custom(downloads))]
    pub download_limit: Patch<u32>,
    /// For super_admin: whether the platform features it.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_featured: Patch<bool>,
    /// For super_admin: whether the platform calls it popular.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_popular: Patch<bool>,
    /// What it can do.
    #[garde(custom(checks::names::<50>))]
    pub features: Patch<Vec<String>>,
    /// Words to find it by.
    #[garde(custom(checks::names::<20>))]
    pub tags: Patch<Vec<String>>,
    /// Its picture in lists.
    #[garde(custom(checks::https_url))]
    pub image_url: Patch<String>,
    /// Its pictures.
    #[garde(custom(are_images))]
    pub images: Patch<Vec<Image>>,
    /// What it needs, by name.
    #[garde(custom(checks::small_object))]
    pub requirements: Patch<Map<String, Value>>,
    /// Anything worth keeping with it.
    #[garde(custom(checks::small_object))]
    pub metadata: Patch<Map<String, Value>>,
}

impl Given<[Image]> for Vec<Image> {
    fn given(&self) -> Option<&[Image]> {
        Some(self)
    }
}

impl Given<[Image]> for Patch<Vec<Image>> {
    fn given(&self) -> Option<&[Image]> {
        self.value().map(Vec::as_slice)
    }
}

fn are_images(value: &impl Given<[Image]>, _: &()) -> garde::Result {
    let good = |image: &Image| {
        let alt = image.alt.as_deref().unwrap_or_default();
        is_https_url(&image.url) && alt.chars().count() <= 200 && alt.chars().all(is_seen)
    };
    checks::check(
        value,
        |list: &[Image]| list.len() <= MAX_IMAGES && list.iter().all(good),
        "must be at most 10 pictures, each with an https address and a text of up to 200 characters",
    )
}

fn is_code(code: &impl Given<str>, _: &()) -> garde::Result {
    let is_part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    checks::check(
        code,
        |code| (1..=10).contains(&code.len()) && code.bytes().all(is_part),
        "must be 1 to 10 capital letters and digits",
    )
}

fn downloads(most: &Patch<u32>, _: &()) -> garde::Result {
    let good = |most: &u32| (1..=MAX_DOWNLOADS).contains(most);
    checks::check(most, good, "must be 1 to 1000000")
}
