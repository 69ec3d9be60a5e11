//! A version of a prompt, how it is made and changed, and what is rendered of it.

use crate::http::checks;
use crate::http::types::{Ident, Patch, not_null};
use celaest_domain::ai::diff::Line;
use celaest_domain::contact;
use celaest_domain::flags::is_key;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The longest text of a prompt, in characters.
pub const MAX_TEXT: usize = 32_000;
/// Variables that a prompt may have.
const MAX_VARIABLES: usize = 100;
/// The longest description and the longest notes, in characters.
const MAX_NOTES: usize = 2_000;
/// Tags that a prompt may have.
const MAX_TAGS: usize = 20;
/// The most tokens that may be asked for.
const MAX_TOKENS: u32 = 1_000_000;

/// One version of a prompt.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Prompt {
    /// Identifier of the version.
    pub id: Uuid,
    /// Whose it is; null for the platform's, which everybody may use.
    pub organization_id: Option<Uuid>,
    /// Its name for programs, the same for all its versions.
    pub slug: String,
    /// Counted from 1.
    pub version: i64,
    /// The version that it was made from.
    pub parent_id: Option<Uuid>,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What kind of prompt it is.
    pub category: String,
    /// More exactly.
    pub subcategory: Option<String>,
    /// What the model is told first.
    pub system_prompt: String,
    /// What it is asked, with `{{variables}}`; null: the input as it comes.
    pub user_prompt_template: Option<String>,
    /// The variables of both texts.
    pub variables: Vec<String>,
    /// The model to ask unless another is named.
    pub preferred_model_id: Option<Uuid>,
    /// How freely it is answered.
    pub temperature: f64,
    /// The most tokens of an answer.
    pub max_tokens: i64,
    /// The share of probability that tokens are drawn from.
    pub top_p: f64,
    /// Whether calls that name the slug are served by it.
    pub is_active: bool,
    /// Its share of the calls beside the other active versions, as a weight.
    pub weight: i64,
    /// Calls that it served.
    pub usage_count: i64,
    /// Of these, those that went well, in per cent; null before the first.
    pub success_rate: Option<f64>,
    /// The mean time in milliseconds of those that went well; null before the first.
    pub avg_response_time_ms: Option<i64>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Notes for people.
    pub notes: Option<String>,
    /// Anything worth keeping with it.
    pub metadata: Map<String, Value>,
    /// When it was created.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Body of `POST /api/ai/prompts`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewPrompt {
    /// For super administrators: whose it is.
    #[serde(default)]
    pub organization_id: Option<Ident>,
    /// For super administrators: the platform's own, which everybody may use.
    #[serde(default)]
    pub shared: bool,
    /// Words of small letters and digits, joined by dots, hyphens or underscores. Stays for good.
    #[garde(custom(is_slug))]
    pub slug: String,
    /// Its name for people.
    #[garde(custom(checks::line::<200>))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    #[garde(length(chars, max = MAX_NOTES))]
    pub description: Option<String>,
    /// What kind of prompt it is.
    #[garde(custom(checks::line::<50>))]
    pub category: String,
    /// More exactly.
    #[serde(default)]
    #[garde(custom(checks::line::<50>))]
    pub subcategory: Option<String>,
    /// What the model is told first, with `{{variables}}`.
    #[garde(custom(text))]
    pub system_prompt: String,
    /// What it is asked, with `{{variables}}`. Left out: the input as it comes.
    #[serde(default)]
    #[garde(inner(custom(text)))]
    pub user_prompt_template: Option<String>,
    /// The variables of both texts: each must be used, and no other. Left out: those that are used.
    #[serde(default)]
    #[garde(length(max = MAX_VARIABLES))]
    pub variables: Option<Vec<String>>,
    /// The model to ask unless another is named.
    #[serde(default)]
    pub preferred_model_id: Option<Ident>,
    /// How freely it is answered, 0 to 2. Default 0.7.
    #[serde(default)]
    #[garde(range(min = 0.0, max = 2.0))]
    pub temperature: Option<f64>,
    /// The most tokens of an answer. Default 2048.
    #[serde(default)]
    #[garde(range(min = 1, max = MAX_TOKENS))]
    pub max_tokens: Option<u32>,
    /// The share of probability that tokens are drawn from, above 0 to 1. Default 1.
    #[serde(default)]
    #[garde(range(min = 0.01, max = 1.0))]
    pub top_p: Option<f64>,
    /// Whether it serves calls at once. Default true.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// Words to find it by.
    #[serde(default)]
    #[garde(custom(are_tags))]
    pub tags: Vec<String>,
    /// Notes for people.
    #[serde(default)]
    #[garde(length(chars, max = MAX_NOTES))]
    pub notes: Option<String>,
    /// Anything, up to 16 KB.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub metadata: Map<String, Value>,
}

/// Body of `PATCH /api/ai/prompts/{id}` and of `POST /api/ai/prompts/{id}/versions`. Left out: stays, or is as
/// in the version that the new one is made from; null: cleared. What the model is told changes only while no
/// call was served: afterwards it takes a new version, so that what was measured stays true.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct PromptChanges {
    /// Another name; cannot be cleared.
    #[garde(custom(not_null), custom(checks::line::<200>))]
    #[schemars(with = "String")]
    pub name: Patch<String>,
    /// Another description.
    #[garde(custom(notes_if_set))]
    pub description: Patch<String>,
    /// Another category; cannot be cleared.
    #[garde(custom(not_null), custom(checks::line::<50>))]
    #[schemars(with = "String")]
    pub category: Patch<String>,
    /// Another subcategory.
    #[garde(custom(checks::line::<50>))]
    pub subcategory: Patch<String>,
    /// Whether calls that name the slug are served by it; a new version is, in the place of all others, if it
    /// says so. Cannot be cleared.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_active: Patch<bool>,
    /// Its share beside the other active versions, 0 to 1000; cannot be cleared.
    #[garde(custom(not_null), custom(weight_if_set))]
    #[schemars(with = "u32")]
    pub weight: Patch<u32>,
    /// Other tags.
    #[garde(custom(tags_if_set))]
    pub tags: Patch<Vec<String>>,
    /// Other notes.
    #[garde(custom(notes_if_set))]
    pub notes: Patch<String>,
    /// Anything, up to 16 KB.
    #[garde(custom(checks::small_object))]
    pub metadata: Patch<Map<String, Value>>,
    /// Another system prompt.
    #[garde(custom(not_null), custom(text_if_set))]
    #[schemars(with = "String")]
    pub system_prompt: Patch<String>,
    /// Another template; null: the input as it comes.
    #[garde(custom(text_if_set))]
    pub user_prompt_template: Patch<String>,
    /// The variables of both texts; null: those that are used.
    #[garde(custom(few_if_set))]
    pub variables: Patch<Vec<String>>,
    /// Another model.
    pub preferred_model_id: Patch<Ident>,
    /// Another temperature.
    #[garde(custom(not_null), custom(temperature_if_set))]
    #[schemars(with = "f64")]
    pub temperature: Patch<f64>,
    /// Another limit.
    #[garde(custom(not_null), custom(tokens_if_set))]
    #[schemars(with = "u32")]
    pub max_tokens: Patch<u32>,
    /// Another share.
    #[garde(custom(not_null), custom(share_if_set))]
    #[schemars(with = "f64")]
    pub top_p: Patch<f64>,
}

/// Body of `POST /api/ai/prompts/{id}/activate`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PromptActivation")]
pub struct Activation {
    /// Serve beside the versions that are active already. Default false: in their place.
    pub beside: bool,
    /// Its share, 1 to 1000. Default as it is.
    #[garde(range(min = 1, max = 1000))]
    pub weight: Option<u32>,
}

/// Body of `POST /api/ai/prompts/{id}/render`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PromptRendering")]
pub struct Rendering {
    /// A value for each variable, and for no other.
    #[garde(length(max = MAX_VARIABLES))]
    pub variables: BTreeMap<String, Value>,
    /// What is asked: the variable `input_text`, or the whole question of a prompt without a template.
    #[garde(length(max = 200_000))]
    pub input_text: Option<String>,
}

/// What a model would be told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rendered {
    /// The version.
    pub prompt_id: Uuid,
    /// Its name for programs.
    pub slug: String,
    /// Counted from 1.
    pub version: i64,
    /// The messages, in their order.
    pub messages: Vec<RenderedMessage>,
    /// How many tokens that is, estimated.
    pub estimated_tokens: u64,
}

/// One message of a rendered prompt.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RenderedMessage {
    /// `system` or `user`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// What differs between two versions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PromptDiff {
    /// The version before.
    pub from_version: i64,
    /// The version after.
    pub to_version: i64,
    /// The lines of the system prompt.
    pub system_prompt: Vec<Line>,
    /// The lines of the template.
    pub user_prompt_template: Vec<Line>,
    /// Everything else that differs, by its field.
    pub fields: BTreeMap<String, ValueChange>,
}

/// A value before and after.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "PromptValueChange")]
pub struct ValueChange {
    /// Before.
    pub from: Value,
    /// After.
    pub to: Value,
}

fn yes() -> bool {
    true
}

fn unless(wrong: bool, problem: &str) -> garde::Result {
    match wrong {
        true => Err(garde::Error::new(problem)),
        false => Ok(()),
    }
}

fn is_slug(text: &str, (): &()) -> garde::Result {
    unless(
        !is_key(text),
        "must be words of small letters and digits, joined by . _ or -, at most 100 characters",
    )
}

fn text(text: &str, (): &()) -> garde::Result {
    let fits = !text.trim().is_empty() && text.chars().count() <= MAX_TEXT;
    unless(!fits, "must be 1 to 32000 characters")
}

fn text_if_set(patch: &Patch<String>, context: &()) -> garde::Result {
    patch.value().map_or(Ok(()), |value| text(value, context))
}

fn notes_if_set(patch: &Patch<String>, (): &()) -> garde::Result {
    let fits = patch
        .value()
        .is_none_or(|text| text.chars().count() <= MAX_NOTES);
    unless(!fits, "is longer than 2000 characters")
}

fn few_if_set(patch: &Patch<Vec<String>>, (): &()) -> garde::Result {
    let fits = patch.value().is_none_or(|list| list.len() <= MAX_VARIABLES);
    unless(!fits, "has more than 100 entries")
}

fn are_tags(list: &[String], (): &()) -> garde::Result {
    let good =
        |tag: &String| (1..=50).contains(&tag.chars().count()) && tag.chars().all(contact::is_seen);
    let fits = list.len() <= MAX_TAGS && list.iter().all(good);
    unless(!fits, "must be at most 20 words of 1 to 50 characters")
}

fn tags_if_set(patch: &Patch<Vec<String>>, context: &()) -> garde::Result {
    patch.value().map_or(Ok(()), |list| are_tags(list, context))
}

fn temperature_if_set(patch: &Patch<f64>, (): &()) -> garde::Result {
    let fits = patch
        .value()
        .is_none_or(|value| (0.0..=2.0).contains(value));
    unless(!fits, "must be 0 to 2")
}

fn share_if_set(patch: &Patch<f64>, (): &()) -> garde::Result {
    let fits = patch
        .value()
        .is_none_or(|value| (0.01..=1.0).contains(value));
    unless(!fits, "must be 0.01 to 1")
}

fn tokens_if_set(patch: &Patch<u32>, (): &()) -> garde::Result {
    let fits = patch
        .value()
        .is_none_or(|value| (1..=MAX_TOKENS).contains(value));
    unless(!fits, "must be 1 to 1000000")
}

fn weight_if_set(patch: &Patch<u32>, (): &()) -> garde::Result {
    let fits = patch.value().is_none_or(|value| *value <= 1_000);
    unless(!fits, "must be 0 to 1000")
}
