//! A coupon, how it is made and how it is changed.

use crate::http::checks;
use crate::http::types::{Ident, Moment, Patch, not_null};
use crate::modules::plans::model::Price;
pub use celaest_domain::billing::coupon::{DiscountType, Refusal};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Products that a coupon may name.
const MAX_PRODUCTS: usize = 100;

/// A coupon as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Coupon {
    /// Identifier.
    pub id: Uuid,
    /// The organization whose products it is for; `null`: the platform's, for all.
    pub organization_id: Option<Uuid>,
    /// What buyers type; capital and small letters are the same.
    pub code: String,
    /// What it is for.
    pub description: Option<String>,
    /// How it takes something off.
    pub discount_type: DiscountType,
    /// Percent, or an amount in the currency.
    pub discount_value: f64,
    /// ISO 4217; of fixed amounts and of the minimum.
    pub currency: String,
    /// The least that the products it is for must come to.
    pub min_order_amount: f64,
    /// How often it can be used; `null`: any number of times.
    pub max_redemptions: Option<i64>,
    /// How often by one person.
    pub max_per_user: Option<i64>,
    /// How often it was used and not given back.
    pub redemption_count: i64,
    /// For these products only; empty: for everything the organization sells.
    pub product_ids: Vec<Uuid>,
    /// From when.
    pub valid_from: String,
    /// Until when.
    pub valid_until: Option<String>,
    /// It was not switched off.
    pub is_active: bool,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Body of `POST /api/coupons`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewCoupon {
    /// Only for super_admin: the organization. Everybody else makes them for their own.
    #[serde(default)]
    pub organization_id: Option<Ident>,
    /// What buyers type.
    #[garde(custom(checks::code))]
    pub code: String,
    /// What it is for.
    #[serde(default)]
    #[garde(custom(checks::line::<500>))]
    pub description: Option<String>,
    /// How it takes something off.
    pub discount_type: DiscountType,
    /// Percent (at most 100), or an amount in the currency; more than 0.
    pub discount_value: Price,
    /// ISO 4217. Default `USD`.
    #[serde(default)]
    #[garde(custom(checks::currency))]
    pub currency: Option<String>,
    /// The least that the products it is for must come to. Default 0.
    #[serde(default)]
    pub min_order_amount: Option<Price>,
    /// How often it can be used.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = 1_000_000_000)))]
    pub max_redemptions: Option<u32>,
    /// How often by one person.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = 1_000_000_000)))]
    pub max_per_user: Option<u32>,
    /// For these products of the organization only.
    #[serde(default)]
    #[garde(length(max = MAX_PRODUCTS))]
    pub product_ids: Vec<Ident>,
    /// From when. Default now.
    #[serde(default)]
    pub valid_from: Option<Moment>,
    /// Until when.
    #[serde(default)]
    pub valid_until: Option<Moment>,
}

/// Body of `PATCH /api/coupons/{id}`. Left out: stays; null: cleared. What it takes off stays for good.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct CouponChanges {
    /// What it is for.
    #[garde(custom(checks::line::<500>))]
    pub description: Patch<String>,
    /// How often it can be used; no less than it was.
    #[garde(custom(at_least_one))]
    pub max_redemptions: Patch<u32>,
    /// How often by one person.
    #[garde(custom(at_least_one))]
    pub max_per_user: Patch<u32>,
    /// Until when.
    pub valid_until: Patch<Moment>,
    /// Whether it can be used.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_active: Patch<bool>,
}

/// What a coupon is worth to somebody.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Worth {
    /// Its code.
    pub code: String,
    /// It counts.
    pub is_valid: bool,
    /// Why not.
    pub reason: Option<Refusal>,
    /// How it takes something off.
    pub discount_type: DiscountType,
    /// Percent, or an amount in the currency.
    pub discount_value: f64,
    /// Of fixed amounts.
    pub currency: String,
    /// What comes off the product that was asked about, before tax and in its currency.
    pub discount_amount: Option<f64>,
}

fn at_least_one(patch: &Patch<u32>, (): &()) -> garde::Result {
    match patch
        .value()
        .is_none_or(|count| (1..=1_000_000_000).contains(count))
    {
        true => Ok(()),
        false => Err(garde::Error::new("must be 1 to 1000000000")),
    }
}
