//! An API key, how it is made and how it is replaced.

use crate::http::checks;
use crate::http::types::Moment;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest time for which a replaced key goes on, in seconds: a week.
const MAX_OVERLAP_S: u32 = 604_800;

/// An API key as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ApiKey {
    /// Identifier; the audit log names it.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The organization it works in.
    pub organization_id: Uuid,
    /// What it is for.
    pub name: String,
    /// The visible beginning of the key.
    pub key_prefix: String,
    /// What it narrows its owner's permissions to.
    pub scopes: Vec<String>,
    /// Requests a minute; `null`: as many as a person.
    pub rate_limit_rpm: Option<i64>,
    /// What it may spend on AI calls in a period of a license, in dollars; `null`: as much as the license.
    pub max_ai_cost_usd_per_month: Option<f64>,
    /// How often it was used, counted within seconds.
    pub usage_count: i64,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// Until when it works.
    pub expires_at: Option<String>,
    /// Whether it works now.
    pub is_active: bool,
    /// The key that a rotation made in its place.
    pub replaced_by: Option<Uuid>,
    /// The API key that it was made with; deleted together with it.
    pub made_with: Option<Uuid>,
    /// Who made it.
    pub created_by: Option<Uuid>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// An API key with the key itself, which is shown this once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ApiKeyShown {
    /// The key. It is not stored and cannot be shown again.
    pub key: String,
    /// Identifier; the audit log names it.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The organization it works in.
    pub organization_id: Uuid,
    /// What it is for.
    pub name: String,
    /// The visible beginning of the key.
    pub key_prefix: String,
    /// What it narrows its owner's permissions to.
    pub scopes: Vec<String>,
    /// Requests a minute; `null`: as many as a person.
    pub rate_limit_rpm: Option<i64>,
    /// What it may spend on AI calls in a period of a license, in dollars; `null`: as much as the license.
    pub max_ai_cost_usd_per_month: Option<f64>,
    /// How often it was used, counted within seconds.
    pub usage_count: i64,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// Until when it works.
    pub expires_at: Option<String>,
    /// Whether it works now.
    pub is_active: bool,
    /// The key that a rotation made in its place.
    pub replaced_by: Option<Uuid>,
    /// The API key that it was made with; deleted together with it.
    pub made_with: Option<Uuid>,
    /// Who made it.
    pub created_by: Option<Uuid>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Body of `POST /api/users/{id}/api-keys`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewApiKey {
    /// What it is for.
    #[garde(custom(checks::line::<100>))]
    pub name: String,
    /// What it may do; all of it must be held by its maker and by its owner.
    #[garde(length(min = 1), custom(checks::scopes))]
    pub scopes: Vec<String>,
    /// Until when it works. Default: until it is deleted; made with another key, as long as that.
    #[serde(default)]
    pub expires_at: Option<Moment>,
    /// Requests a minute. Default: as many as a person; made with another key, as many as that. More than
    /// a person's takes `api_keys:write`, up to what the plan allows.
    #[serde(default)]
    #[garde(range(min = 1, max = 100_000))]
    pub rate_limit_rpm: Option<u32>,
    /// What it may spend on AI calls in a period of a license, in dollars, and what replaces it too. Default: as much
    /// as the license. Made with a key that has such a budget, it shares that one's, at most all of it.
    #[serde(default)]
    #[garde(inner(range(min = 0.0, max = 10_000_000.0)))]
    pub max_ai_cost_usd_per_month: Option<f64>,
}

/// Body of `POST /api/users/{id}/api-keys/{inner_id}/rotate`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiKeyRotation")]
pub struct Rotation {
    /// Seconds for which both keys work; the old one never works beyond its own expiry.
    #[serde(default = "a_day")]
    #[garde(range(max = MAX_OVERLAP_S))]
    pub overlap_seconds: u32,
}

fn a_day() -> u32 {
    86_400
}
