//! A model, how it is made known and changed, and a provider.

use crate::db::Bind;
use crate::http::checks::{self, Given};
use crate::http::types::{Patch, not_null};
use celaest_domain::ai::cost::Surcharges;
use celaest_domain::ai::provider::Provider;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The longest notes, in characters.
const MAX_NOTES: usize = 2_000;
/// Other names that a model may have.
const MAX_ALIASES: usize = 20;
/// The most tokens that may be said of a model.
const MAX_TOKENS: u32 = 100_000_000;
/// The highest priority.
const MAX_RANK: i32 = 1_000_000;
/// Of a dollar, in a price: what the columns hold.
const PLACES: f64 = 1e6;
/// The same for what is read from a cache, which costs less.
const CACHED_PLACES: f64 = 1e9;

/// A model as the API shows it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AiModel {
    /// Identifier.
    pub id: Uuid,
    /// Whose.
    pub provider: Provider,
    /// The provider's name for it.
    pub model_id: String,
    /// Its name for people.
    pub display_name: String,
    /// Other names it can be called by; several models may share one, and the first that is well answers.
    pub aliases: Vec<String>,
    /// What it can do.
    pub capabilities: Map<String, Value>,
    /// Tokens that a question may have.
    pub max_tokens_input: Option<i64>,
    /// Tokens that an answer may have.
    pub max_tokens_output: Option<i64>,
    /// Tokens that both may have together.
    pub context_window: Option<i64>,
    /// Dollars for 1,000 tokens of a question; null: unknown.
    pub cost_per_1k_input: Option<f64>,
    /// The same of what the provider reads from its cache; null: as the rest of the question.
    pub cost_per_1k_cached: Option<f64>,
    /// The same of an answer; null: unknown.
    pub cost_per_1k_output: Option<f64>,
    /// Whether it can be called.
    pub is_active: bool,
    /// Whether it is called when nothing else is said.
    pub is_default: bool,
    /// The higher, the sooner it is called.
    pub priority: i64,
    /// Notes for people.
    pub notes: Option<String>,
    /// Anything worth keeping with it; `pricing` has what makes it dearer.
    pub metadata: Map<String, Value>,
    /// When it was made known.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A price of 1,000 tokens, in dollars: a number with at most so many decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Dollars<const CACHED: bool>(#[schemars(with = "f64", range(min = 0, max = 9_999))] u64);

impl<const CACHED: bool> Dollars<CACHED> {
    const PLACES: f64 = if CACHED { CACHED_PLACES } else { PLACES };

    fn of(number: f64) -> Option<Self> {
        let parts = (number * Self::PLACES).round();
        let exact = (parts / Self::PLACES - number).abs() < 1e-13 * number.abs().max(1.0);
        ((0.0..=9_999.0).contains(&number) && exact).then_some(Self(parts as u64))
    }
}

impl<'de, const CACHED: bool> Deserialize<'de> for Dollars<CACHED> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(f64::deserialize(deserializer)?).ok_or_else(|| {
            serde::de::Error::custom(match CACHED {
                true => "expected a price: 0 to 9999 with at most 9 decimals",
                false => "expected a price: 0 to 9999 with at most 6 decimals",
            })
        })
    }
}

impl<const CACHED: bool> Bind for Dollars<CACHED> {
    fn text(&self) -> Option<String> {
        let places = Self::PLACES as u64;
        let width = if CACHED { 9 } else { 6 };
        Some(format!("{}.{:0width$}", self.0 / places, self.0 % places))
    }
}

/// What a model can do. What is left out it cannot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiCapabilities")]
pub struct NewCapabilities {
    /// It writes text.
    pub text_generation: bool,
    /// It is good at code.
    pub code_generation: bool,
    /// It sees images.
    pub vision: bool,
    /// It can ask for functions to be called.
    pub function_calling: bool,
    /// Its answer can come piece by piece.
    pub streaming: bool,
    /// Its answer can be made to be JSON.
    pub json_mode: bool,
    /// Its answer can be made to fit a schema.
    pub json_schema: bool,
    /// It thinks before it answers.
    pub reasoning: bool,
}

/// Body of `POST /api/ai/models`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewAiModel {
    /// Whose.
    pub provider: Provider,
    /// The provider's name for it. Stays for good.
    #[garde(custom(checks::line::<100>))]
    pub model_id: String,
    /// Its name for people.
    #[garde(custom(checks::line::<200>))]
    pub display_name: String,
    /// Other names it can be called by.
    #[serde(default)]
    #[garde(custom(are_aliases))]
    pub aliases: Vec<String>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: NewCapabilities,
    /// Tokens that a question may have.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MAX_TOKENS)))]
    pub max_tokens_input: Option<u32>,
    /// Tokens that an answer may have.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MAX_TOKENS)))]
    pub max_tokens_output: Option<u32>,
    /// Tokens that both may have together.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MAX_TOKENS)))]
    pub context_window: Option<u32>,
    /// Dollars for 1,000 tokens of a question.
    #[serde(default)]
    pub cost_per_1k_input: Option<Dollars<false>>,
    /// The same of what the provider reads from its cache.
    #[serde(default)]
    pub cost_per_1k_cached: Option<Dollars<true>>,
    /// The same of an answer.
    #[serde(default)]
    pub cost_per_1k_output: Option<Dollars<false>>,
    /// Whether it can be called. Default true.
    #[serde(default)]
    pub is_active: Option<bool>,
    /// Whether it is called when nothing else is said, in place of the one that is now.
    #[serde(default)]
    pub is_default: bool,
    /// The higher, the sooner it is called. Default 0.
    #[serde(default)]
    #[garde(inner(range(min = -MAX_RANK, max = MAX_RANK)))]
    pub priority: Option<i32>,
    /// Notes for people.
    #[serde(default)]
    #[garde(custom(are_notes))]
    pub notes: Option<String>,
    /// Anything, up to 16 KB; `pricing` has what makes it dearer.
    #[serde(default)]
    #[garde(custom(checks::small_object), custom(has_pricing))]
    pub metadata: Map<String, Value>,
}

/// Body of `PATCH /api/ai/models/{id}`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct AiModelChanges {
    /// Its name for people.
    #[garde(custom(not_null), custom(checks::line::<200>))]
    #[schemars(with = "String")]
    pub display_name: Patch<String>,
    /// All other names.
    #[garde(custom(are_aliases))]
    pub aliases: Patch<Vec<String>>,
    /// All that it can do.
    #[garde(custom(not_null))]
    #[schemars(with = "NewCapabilities")]
    pub capabilities: Patch<NewCapabilities>,
    /// Tokens that a question may have.
    #[garde(custom(is_tokens))]
    pub max_tokens_input: Patch<u32>,
    /// Tokens that an answer may have.
    #[garde(custom(is_tokens))]
    pub max_tokens_output: Patch<u32>,
    /// Tokens that both may have together.
    #[garde(custom(is_tokens))]
    pub context_window: Patch<u32>,
    /// Dollars for 1,000 tokens of a question.
    pub cost_per_1k_input: Patch<Dollars<false>>,
    /// The same of what the provider reads from its cache.
    pub cost_per_1k_cached: Patch<Dollars<true>>,
    /// The same of an answer.
    pub cost_per_1k_output: Patch<Dollars<false>>,
    /// Whether it can be called.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_active: Patch<bool>,
    /// Whether it is called when nothing else is said.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_default: Patch<bool>,
    /// The higher, the sooner it is called.
    #[garde(custom(not_null), custom(is_rank))]
    #[schemars(with = "i32")]
    pub priority: Patch<i32>,
    /// Notes for people.
    #[garde(custom(are_notes))]
    pub notes: Patch<String>,
    /// Anything, up to 16 KB, in place of all there was.
    #[garde(custom(checks::small_object), custom(has_pricing))]
    pub metadata: Patch<Map<String, Value>>,
}

/// A provider, as a caller can use it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiProviderStatus")]
pub struct ProviderStatus {
    /// Its name for programs.
    pub provider: Provider,
    /// Its name for people.
    pub name: String,
    /// Whether a model of its could be called when its keys last said so: there is one, and a key that is well.
    pub is_available: bool,
    /// Models of its that can be called.
    pub models: i64,
    /// Keys that the caller's organization has of its own.
    pub own_keys: i64,
    /// Whether the platform has a key for everybody.
    pub has_platform_keys: bool,
}

fn judged(good: bool, problem: &str) -> garde::Result {
    match good {
        true => Ok(()),
        false => Err(garde::Error::new(problem)),
    }
}

fn are_aliases(value: &impl Given<[String]>, (): &()) -> garde::Result {
    let good = |name: &String| {
        (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let all = |list: &[String]| list.len() <= MAX_ALIASES && list.iter().all(good);
    judged(
        value.given().is_none_or(all),
        "must be at most 20 names of 1 to 100 printable characters without blanks",
    )
}

fn are_notes(value: &impl Given<str>, (): &()) -> garde::Result {
    let good = |text: &str| text.chars().count() <= MAX_NOTES;
    judged(
        value.given().is_none_or(good),
        "is longer than 2000 characters",
    )
}

fn is_tokens(patch: &Patch<u32>, (): &()) -> garde::Result {
    let good = |tokens: &u32| (1..=MAX_TOKENS).contains(tokens);
    judged(patch.value().is_none_or(good), "must be 1 to 100000000")
}

fn is_rank(patch: &Patch<i32>, (): &()) -> garde::Result {
    let good = |rank: &i32| (-MAX_RANK..=MAX_RANK).contains(rank);
    judged(
        patch.value().is_none_or(good),
        "must be -1000000 to 1000000",
    )
}

fn has_pricing(value: &impl Given<Map<String, Value>>, (): &()) -> garde::Result {
    let good = |map: &Map<String, Value>| {
        let pricing = map.get("pricing");
        pricing.is_none_or(|pricing| {
            Surcharges::deserialize(pricing).is_ok_and(|it| it.are_possible())
        })
    };
    judged(
        value.given().is_none_or(good),
        "has a pricing that is none: see long_context and peak",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prices_are_exact() {
        let plain = |number| Dollars::<false>::of(number).and_then(|price| price.text());
        let cached = |number| Dollars::<true>::of(number).and_then(|price| price.text());
        assert_eq!(plain(0.00015).as_deref(), Some("0.000150"));
        assert_eq!(plain(20.0).as_deref(), Some("20.000000"));
        assert_eq!(cached(0.0000375).as_deref(), Some("0.000037500"));
        assert_eq!(cached(0.000003).as_deref(), Some("0.000003000"));
        assert_eq!(plain(0.0), Some("0.000000".into()));
        for wrong in [-0.1, 0.0000375, 10_000.0, f64::NAN, f64::INFINITY] {
            assert_eq!(plain(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pricing_is_what_is_understood() {
        let judged = |pricing: Value| {
            let map: Map<String, Value> =
                serde_json::from_value(json!({ "pricing": pricing })).unwrap();
            has_pricing(&map, &()).is_ok()
        };
        assert!(judged(
            json!({ "long_context": { "over": 1, "input": 2, "output": 1.5 } })
        ));
        assert!(!judged(json!({ "long_contexts": {} })) && !judged(json!(1)));
        let peak = |hours: Value| judged(json!({ "peak": { "factor": 2, "utc_hours": hours } }));
        assert!(peak(json!([[0, 4], [20, 24]])));
        assert!(!peak(json!([[25, 30]])) && !peak(json!([[22, 2]])));
    }
}
