//! A key of a provider, how it is made and changed, and what its pool did.

use crate::http::checks;
use crate::http::types::{Moment, Patch, not_null};
use celaest_domain::ai::provider::Provider;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The longest key, in characters.
const MAX_KEY: usize = 500;
/// The longest notes, in characters.
const MAX_NOTES: usize = 2_000;
/// The highest limit, weight and priority.
const MAX_LIMIT: u32 = 2_000_000_000;
const MAX_RANK: i32 = 1_000_000;

/// A key of a provider as the API shows it, never the key itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AiKey {
    /// Identifier.
    pub id: Uuid,
    /// Whose it is; null: the platform's, which serves everybody.
    pub organization_id: Option<Uuid>,
    /// Whose models it opens.
    pub provider: Provider,
    /// What people call it.
    pub key_name: String,
    /// Its last four characters.
    pub key_hint: Option<String>,
    /// Whether it may be used at all.
    pub is_active: bool,
    /// Whether it could be used when its pool last said so, within some seconds.
    pub is_healthy: bool,
    /// What its pool knew of it then.
    pub state: KeyState,
    /// Why it rests or is disabled: `invalid_key`, `rate_limited`, ….
    pub state_reason: Option<String>,
    /// Since when.
    pub state_since: Option<String>,
    /// Until when it rests.
    pub cooling_until: Option<String>,
    /// Failures since the last success.
    pub consecutive_failures: i32,
    /// How often it was given a clean record, counted from 1.
    pub generation: i32,
    /// When it was last tried without a question of anybody's.
    pub last_health_check: Option<String>,
    /// Requests a minute.
    pub rate_limit_rpm: Option<i64>,
    /// Tokens a minute.
    pub rate_limit_tpm: Option<i64>,
    /// Requests a day.
    pub rate_limit_rpd: Option<i64>,
    /// Attempts made with it.
    pub usage_count: i64,
    /// Tokens used with it.
    pub tokens_used: i64,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// The higher, the sooner it is used.
    pub priority: i64,
    /// How often it is used among those of its priority; 0 or less: only when nothing else can be.
    pub weight: i64,
    /// Anything worth knowing.
    pub notes: Option<String>,
    /// Anything worth keeping with it. Keys with the same `quota_group` share their limits.
    pub metadata: Map<String, Value>,
    /// When it ends.
    pub expires_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed by somebody.
    pub updated_at: String,
}

/// What a pool knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AiKeyState")]
pub enum KeyState {
    /// It may be used.
    Active,
    /// Not until then.
    Cooling,
    /// Not until somebody looks after it.
    Disabled,
}

impl KeyState {
    /// The text in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling => "cooling",
            Self::Disabled => "disabled",
        }
    }
}

/// Body of `POST /api/ai/pool/keys`.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewAiKey {
    /// For super administrators: whose it is. Left out: the platform's; for everybody else the own
    /// organization's.
    #[serde(default)]
    pub organization_id: Option<Uuid>,
    /// Whose models it opens.
    pub provider: Provider,
    /// What people call it.
    #[garde(custom(checks::line::<100>))]
    pub key_name: String,
    /// The key itself. It is never shown again.
    #[garde(custom(is_key))]
    pub key_value: String,
    /// Requests a minute. Default no limit.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MAX_LIMIT)))]
    pub rate_limit_rpm: Option<u32>,
    /// Tokens a minute. Default no limit.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MAX_LIMIT)))]
    pub rate_limit_tpm: Option<u32>,
    /// Requests a day. Default no limit.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MAX_LIMIT)))]
    pub rate_limit_rpd: Option<u32>,
    /// The higher, the sooner it is used. Default 0.
    #[serde(default)]
    #[garde(inner(range(min = -MAX_RANK, max = MAX_RANK)))]
    pub priority: Option<i32>,
    /// How often it is used among those of its priority. Default 100.
    #[serde(default)]
    #[garde(inner(range(min = -MAX_RANK, max = MAX_RANK)))]
    pub weight: Option<i32>,
    /// Anything worth knowing.
    #[serde(default)]
    #[garde(inner(length(chars, max = MAX_NOTES)))]
    pub notes: Option<String>,
    /// Anything, up to 16 KB. Keys with the same `quota_group` share their limits; without one, keys of Groq and
    /// Gemini of one owner do.
    #[serde(default)]
    #[garde(custom(checks::small_object), custom(has_group))]
    pub metadata: Map<String, Value>,
    /// When it ends. Default never.
    #[serde(default)]
    pub expires_at: Option<Moment>,
}

/// Body of `PATCH /api/ai/pool/keys/{id}`. Left out: stays; null: cleared.
#[derive(Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct AiKeyChanges {
    /// What people call it.
    #[garde(custom(not_null), custom(checks::line::<100>))]
    #[schemars(with = "String")]
    pub key_name: Patch<String>,
    /// Another key in its place, with a clean record.
    #[garde(custom(not_null), custom(is_key))]
    #[schemars(with = "String")]
    pub key_value: Patch<String>,
    /// Whether it may be used; true also gives it a clean record.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_active: Patch<bool>,
    /// Requests a minute.
    #[garde(custom(is_limit))]
    pub rate_limit_rpm: Patch<u32>,
    /// Tokens a minute.
    #[garde(custom(is_limit))]
    pub rate_limit_tpm: Patch<u32>,
    /// Requests a day.
    #[garde(custom(is_limit))]
    pub rate_limit_rpd: Patch<u32>,
    /// The higher, the sooner it is used.
    #[garde(custom(not_null), custom(is_rank))]
    #[schemars(with = "i32")]
    pub priority: Patch<i32>,
    /// How often it is used among those of its priority.
    #[garde(custom(not_null), custom(is_rank))]
    #[schemars(with = "i32")]
    pub weight: Patch<i32>,
    /// Anything worth knowing.
    #[garde(custom(are_notes))]
    pub notes: Patch<String>,
    /// Anything, up to 16 KB, in place of all there was.
    #[garde(custom(checks::small_object), custom(has_group))]
    pub metadata: Patch<Map<String, Value>>,
    /// When it ends.
    pub expires_at: Patch<Moment>,
}

/// What came of trying a key.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "AiKeyTest")]
pub struct Tested {
    /// Whether its provider took it.
    pub ok: bool,
    /// The HTTP status that the provider answered with.
    pub status: Option<u16>,
    /// Names what is wrong: `invalid_key`, `rate_limited`, `timeout`, ….
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
}

/// Printable characters without blanks, as it goes into a header.
fn is_key(value: &impl checks::Given<str>, (): &()) -> garde::Result {
    let good = |key: &str| {
        (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match value.given().is_none_or(good) {
        true => Ok(()),
        false => Err(garde::Error::new(
            "must be 1 to 500 printable characters without blanks",
        )),
    }
}

fn is_limit(patch: &Patch<u32>, (): &()) -> garde::Result {
    match patch
        .value()
        .is_none_or(|limit| (1..=MAX_LIMIT).contains(limit))
    {
        true => Ok(()),
        false => Err(garde::Error::new("must be 1 to 2000000000")),
    }
}

fn is_rank(patch: &Patch<i32>, (): &()) -> garde::Result {
    let good = |rank: &i32| (-MAX_RANK..=MAX_RANK).contains(rank);
    match patch.value().is_none_or(good) {
        true => Ok(()),
        false => Err(garde::Error::new("must be -1000000 to 1000000")),
    }
}

fn are_notes(patch: &Patch<String>, (): &()) -> garde::Result {
    match patch
        .value()
        .is_none_or(|text| text.chars().count() <= MAX_NOTES)
    {
        true => Ok(()),
        false => Err(garde::Error::new("is longer than 2000 characters")),
    }
}

fn has_group(value: &impl checks::Given<Map<String, Value>>, (): &()) -> garde::Result {
    let good = |map: &Map<String, Value>| match map.get("quota_group") {
        None | Some(Value::Null) => true,
        Some(Value::String(name)) => (1..=100).contains(&name.len()),
        Some(_) => false,
    };
    match value.given().is_none_or(good) {
        true => Ok(()),
        false => Err(garde::Error::new(
            "has a quota_group that is not 1 to 100 characters",
        )),
    }
}
