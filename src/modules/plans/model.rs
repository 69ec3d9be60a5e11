//! A plan, how it is made and how it is changed.

use super::limits::with_limits;
use crate::db::Bind;
use crate::http::checks::{self, Given, check};
use crate::http::types::{Patch, not_null};
use celaest_domain::billing::money::MOST_HUNDREDTHS;
use celaest_domain::contact::{self, is_slug};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The longest name for programs, in bytes.
const MAX_CODE: usize = 50;
/// Features that a plan may name.
const MAX_FEATURES: usize = 100;
/// The longest description, in characters.
const MAX_TEXT: usize = 2000;
/// The last place in lists.
const MAX_PLACE: u32 = 1_000_000;
/// What prices are in where nothing is said.
pub const DEFAULT_CURRENCY: &str = "USD";

/// A plan as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Plan {
    /// Identifier.
    pub id: Uuid,
    /// Its name for programs.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Price of a month.
    pub price_monthly: Option<f64>,
    /// Price of a year.
    pub price_yearly: Option<f64>,
    /// ISO 4217.
    pub currency: String,
    /// How much it includes; -1 is no limit.
    pub limits: PlanLimits,
    /// What it includes.
    pub features: Vec<String>,
    /// Whether licenses are made for it.
    pub is_active: bool,
    /// Whether everybody sees it.
    pub is_public: bool,
    /// Its place in lists, the smallest first.
    pub sort_order: i64,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

with_limits! {
    /// How much a plan includes; -1 is no limit. What is left out is as the system has it.
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
    #[serde(deny_unknown_fields, default)]
    #[garde(allow_unvalidated)]
    pub struct PlanLimits {
        /// Requests a minute that an API key may be given.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[garde(range(min = -1, max = 100_000))]
        pub max_api_key_rate_per_min: Option<i64>,
    }
}

/// A price: a number with at most two decimals, kept in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Price(#[schemars(with = "f64", range(min = 0, max = 9_999_999_999.99))] i64);

impl Price {
    /// The same in hundredths.
    pub fn hundredths(self) -> i64 {
        self.0
    }

    fn of(number: f64) -> Option<Self> {
        let hundredths = (number * 100.0).round();
        // What is left where a program has summed up: far less than a third decimal, however large the number.
        let exact = (hundredths / 100.0 - number).abs() < 1e-14 * number.abs().max(1e5);
        let fits = number >= 0.0 && hundredths <= MOST_HUNDREDTHS as f64;
        (exact && fits).then_some(Self(hundredths as i64))
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(f64::deserialize(deserializer)?).ok_or_else(|| {
            serde::de::Error::custom("expected a price: 0 to 9999999999.99 with at most 2 decimals")
        })
    }
}

impl Bind for Price {
    fn text(&self) -> Option<String> {
        Some(format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

/// Body of `POST /api/plans`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewPlan {
    /// Its name for programs: small letters, digits and single hyphens. Stays for good.
    #[garde(custom(is_code))]
    pub code: String,
    /// Its name for people.
    #[garde(custom(checks::line::<100>))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    #[garde(custom(is_text))]
    pub description: Option<String>,
    /// Price of a month.
    #[serde(default)]
    pub price_monthly: Option<Price>,
    /// Price of a year.
    #[serde(default)]
    pub price_yearly: Option<Price>,
    /// ISO 4217. Default `USD`.
    #[serde(default)]
    #[garde(custom(checks::currency))]
    pub currency: Option<String>,
    /// How much it includes.
    #[serde(default)]
    #[garde(dive)]
    pub limits: PlanLimits,
    /// What it includes.
    #[serde(default)]
    #[garde(custom(are_features))]
    pub features: Vec<String>,
    /// Whether everybody sees it. Default true.
    #[serde(default)]
    pub is_public: Option<bool>,
    /// Its place in lists. Default 0.
    #[serde(default)]
    #[garde(inner(range(max = MAX_PLACE)))]
    pub sort_order: Option<u32>,
}

/// Body of `PATCH /api/plans/{id}`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct PlanChanges {
    /// Its name for people.
    #[garde(custom(not_null), custom(checks::line::<100>))]
    #[schemars(with = "String")]
    pub name: Patch<String>,
    /// What it is for.
    #[garde(custom(is_text))]
    pub description: Patch<String>,
    /// Price of a month.
    pub price_monthly: Patch<Price>,
    /// Price of a year.
    pub price_yearly: Patch<Price>,
    /// ISO 4217.
    #[garde(custom(not_null), custom(checks::currency))]
    #[schemars(with = "String")]
    pub currency: Patch<String>,
    /// All limits: what is left out is as the system has it.
    #[garde(custom(not_null), dive)]
    #[schemars(with = "PlanLimits")]
    pub limits: Patch<PlanLimits>,
    /// All features.
    #[garde(custom(are_features))]
    pub features: Patch<Vec<String>>,
    /// Whether licenses are made for it.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_active: Patch<bool>,
    /// Whether everybody sees it.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_public: Patch<bool>,
    /// Its place in lists.
    #[garde(custom(not_null), custom(place))]
    #[schemars(with = "u32")]
    pub sort_order: Patch<u32>,
}

fn is_code(value: &impl Given<str>, (): &()) -> garde::Result {
    check(
        value,
        |text| is_slug(text) && text.len() <= MAX_CODE,
        "must be 1 to 50 small letters, digits and single hyphens",
    )
}

fn is_text(value: &impl Given<str>, (): &()) -> garde::Result {
    check(
        value,
        |text| text.chars().count() <= MAX_TEXT,
        "is longer than 2000 characters",
    )
}

fn are_features(value: &impl Given<[String]>, (): &()) -> garde::Result {
    let good =
        |name: &String| (1..=100).contains(&name.len()) && name.chars().all(contact::is_seen);
    check(
        value,
        |list| list.len() <= MAX_FEATURES && list.iter().all(good),
        "must be at most 100 names of 1 to 100 characters",
    )
}

/// A place in lists.
pub fn place(patch: &Patch<u32>, (): &()) -> garde::Result {
    match patch.value().is_none_or(|place| *place <= MAX_PLACE) {
        true => Ok(()),
        false => Err(garde::Error::new("must be 0 to 1000000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::strict::{parse, validate};

    #[test]
    fn prices_are_kept_in_hundredths() {
        let text = |number| Price::of(number).and_then(|price| price.text());
        for (number, kept) in [
            (0.0, "0.00"),
            (0.1, "0.10"),
            (19.99, "19.99"),
            (1_200.0, "1200.00"),
            (0.1 + 0.2, "0.30"),
            (9_999_999_999.99, "9999999999.99"),
        ] {
            assert_eq!(text(number).as_deref(), Some(kept));
        }
        for wrong in [
            -0.01,
            0.001,
            19.999,
            12_345_678.901,
            1e10,
            1e308,
            f64::NAN,
            f64::INFINITY,
        ] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn limits_have_names() {
        let read = |limits: &str| {
            let text = format!(r#"{{"code":"a","name":"A","limits":{limits}}}"#);
            let plan: NewPlan = parse(text.as_bytes())?;
            validate(&plan).map(|()| plan)
        };
        let status = |limits| read(limits).err().map(|error| error.code.status());
        assert_eq!(
            read(r#"{"max_users":-1}"#).unwrap().limits.max_users,
            Some(-1)
        );
        assert_eq!(status(r#"{"max_user":1}"#), Some(400));
        assert_eq!(status(r#"{"max_users":-2}"#), Some(422));
        assert_eq!(status(r#"{"max_users":1.5}"#), Some(400));
        assert_eq!(status(r#"{"address_source":"guessed"}"#), Some(400));
        let source = read(r#"{"address_source":"connection"}"#)
            .unwrap()
            .limits
            .address_source;
        assert_eq!(
            source,
            Some(celaest_domain::license::AddressSource::Connection)
        );
        assert_eq!(status("[]"), Some(400));
        assert_eq!(status("[1]"), Some(400));
    }
}
