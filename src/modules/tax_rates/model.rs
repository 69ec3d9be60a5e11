//! A tax rate, how it is made and how it is changed.

use crate::db::Bind;
use crate::http::checks;
use crate::http::types::{Patch, not_null};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// A tax rate as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TaxRate {
    /// Identifier.
    pub id: Uuid,
    /// What invoices call it: `IVA`.
    pub name: String,
    /// Its name for programs.
    pub code: String,
    /// Percent.
    pub rate: f64,
    /// ISO 3166-1.
    pub country_code: String,
    /// The state it is of; none: of the whole country.
    pub state: Option<String>,
    /// Prices include it.
    pub is_inclusive: bool,
    /// A state's rate comes in the place of its country's, and not beside it.
    pub replaces_country: bool,
    /// Not charged to a business that gives its tax id and is in another country than the seller.
    pub exempt_with_tax_id: bool,
    /// It is charged.
    pub is_active: bool,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A percentage with at most four decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Percent(#[schemars(with = "f64", range(min = 0, max = 100))] i64);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let parts = (number * 10_000.0).round();
        let exact = (parts / 10_000.0 - number).abs() < 1e-9;
        if exact && (0.0..=1_000_000.0).contains(&parts) {
            return Ok(Self(parts as i64));
        }
        Err(serde::de::Error::custom(
            "expected a percentage: 0 to 100 with at most four decimals",
        ))
    }
}

impl Bind for Percent {
    fn text(&self) -> Option<String> {
        Some(format!("{}.{:04}", self.0 / 10_000, self.0 % 10_000))
    }
}

/// Body of `POST /api/tax-rates`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewTaxRate {
    /// What invoices call it.
    #[garde(custom(checks::line::<100>))]
    pub name: String,
    /// Its name for programs. Stays for good.
    #[garde(custom(checks::code))]
    pub code: String,
    /// Percent.
    pub rate: Percent,
    /// ISO 3166-1.
    #[garde(custom(checks::country))]
    pub country_code: String,
    /// The state it is of, as buyers write it; none: of the whole country.
    #[serde(default)]
    #[garde(custom(checks::line::<100>))]
    pub state: Option<String>,
    /// Prices include it.
    #[serde(default)]
    pub is_inclusive: bool,
    /// A state's rate comes in the place of its country's, and not beside it.
    #[serde(default)]
    pub replaces_country: bool,
    /// Not charged to a business that gives its tax id and is in another country than the seller.
    #[serde(default)]
    pub exempt_with_tax_id: bool,
}

/// Body of `PATCH /api/tax-rates/{id}`. Orders that were made keep what they were made with.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct TaxRateChanges {
    /// What invoices call it.
    #[garde(custom(not_null), custom(checks::line::<100>))]
    #[schemars(with = "String")]
    pub name: Patch<String>,
    /// Percent.
    #[garde(custom(not_null))]
    #[schemars(with = "Percent")]
    pub rate: Patch<Percent>,
    /// Prices include it.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_inclusive: Patch<bool>,
    /// In the place of the country's.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub replaces_country: Patch<bool>,
    /// Not charged to foreign businesses with a tax id.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub exempt_with_tax_id: Patch<bool>,
    /// It is charged.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_active: Patch<bool>,
}

impl Validate for Percent {
    type Context = ();

    fn validate_into(&self, (): &(), _: &mut dyn FnMut() -> garde::Path, _: &mut garde::Report) {}
}
