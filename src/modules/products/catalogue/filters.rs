//! What the catalogue can be narrowed by.

use super::super::model::ProductType;
use super::queries;
use crate::db::Rows;
use crate::http::checks;
use crate::http::types::Ident;
use crate::modules::categories::queries::WITHIN;
use crate::modules::plans::model::Price;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// The filters, and what a read has besides: only what is read from text alone can be there.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "{More}CatalogueFilters")]
pub struct Filters<More> {
    /// Only this category, with those inside it.
    pub category_id: Option<Ident>,
    /// Only this kind.
    pub product_type: Option<ProductType>,
    /// Only what this vendor sells.
    pub vendor_id: Option<Ident>,
    /// Only what is paid in this currency (ISO 4217).
    #[garde(custom(checks::currency))]
    pub currency: Option<String>,
    /// Only what costs at least so much.
    #[serde(default, deserialize_with = "price")]
    #[schemars(with = "Option<Price>")]
    pub min_price: Option<Price>,
    /// Only what costs at most so much.
    #[serde(default, deserialize_with = "price")]
    #[schemars(with = "Option<Price>")]
    pub max_price: Option<Price>,
    /// Only what is paid for again and again, or only what is paid once.
    pub is_subscription: Option<bool>,
    /// Only what has at least so many stars on average.
    #[garde(inner(range(min = 1, max = 5)))]
    pub min_rating: Option<u8>,
    /// Only what has this tag.
    #[garde(length(chars, max = 100))]
    pub tag: Option<String>,
    /// What the read has besides.
    #[serde(flatten)]
    pub more: More,
}

/// A price in a query string.
fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Price>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let number = text.parse::<serde_json::Number>();
    let number = number.map_err(|_| serde::de::Error::custom("expected a number"))?;
    serde_json::from_value(number.into())
        .map(Some)
        .map_err(serde::de::Error::custom)
}

impl<More> Filters<More> {
    /// The rows that are asked for.
    pub fn rows(&self) -> Rows {
        queries::all()
            .when(format!("c.category_id IN {WITHIN}"), self.category_id)
            .when(
                "c.product_type = {}::product_type",
                self.product_type.map(ProductType::as_str),
            )
            .when("c.vendor_id = {}::uuid", self.vendor_id)
            .when("c.currency = {}", self.currency.as_deref())
            .when("c.price >= {}::numeric", self.min_price)
            .when("c.price <= {}::numeric", self.max_price)
            .when("c.is_subscription = {}::boolean", self.is_subscription)
            .when("c.rating >= {}::numeric", self.min_rating.map(u32::from))
            .when("c.tags @> ARRAY[{}]", self.tag.as_deref())
    }
}
