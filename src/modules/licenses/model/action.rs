//! What can be done to a license, and what it consumed.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Body of `POST /api/licenses/{id}/renew`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// Calendar months. Default: one billing cycle.
    #[serde(default)]
    #[garde(range(min = 1, max = 120))]
    pub months: Option<u32>,
}

/// Body of `POST /api/licenses/{id}/revoke`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Why; shown to the organization, never to the program.
    #[serde(default)]
    #[garde(length(chars, max = 1000))]
    pub reason: Option<String>,
}

/// Body of `POST /api/licenses/{id}/reactivate`: nothing.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Reactivation {}

/// What a license consumed in one period.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UsagePeriod {
    /// First moment.
    pub period_start: String,
    /// First moment after it.
    pub period_end: String,
    /// AI requests.
    pub ai_requests_count: i64,
    /// Tokens sent to models.
    pub tokens_input: i64,
    /// Tokens that came back.
    pub tokens_output: i64,
    /// Storage at the end, in bytes.
    pub storage_bytes: i64,
    /// Validations.
    pub validations_count: i64,
    /// Cost in the plan's currency.
    pub calculated_cost: f64,
}

/// Answer of `GET /api/licenses/{id}/usage`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Usage {
    /// The license.
    pub license_id: Uuid,
    /// The plan's limits with the license's own over them.
    pub limits: Value,
    /// The running period.
    pub current: UsagePeriod,
    /// Past periods, latest first, at most 24.
    pub history: Vec<UsagePeriod>,
}
