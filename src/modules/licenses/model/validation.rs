//! A validation and its verdict.

use crate::http::problem::Problem;
use celaest_domain::license::life::Status;
use celaest_domain::license::{Code, Severity};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

/// One validation as a program sends it.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Validation {
    /// The key, as people type and paste it: in any case, with or without dashes and white space of any kind.
    #[garde(length(bytes, max = 128))]
    pub license_key: String,
    /// The address to validate for. Default: the connection's. Which of them counts is a setting of the
    /// license, its plan or the system; networks a license is confined to always look at the connection,
    /// unless a server of the vendor with `licenses:validate` asks. Both are recorded.
    #[serde(default)]
    #[garde(length(bytes, max = 64))]
    pub ip_address: Option<String>,
    /// Whatever the program knows of the machine: text or an object, up to 4 KB.
    #[serde(default)]
    #[garde(custom(device))]
    pub device_info: Option<Value>,
    /// A stable identifier of the machine.
    #[serde(default)]
    #[garde(length(chars, max = 255))]
    pub machine_id: Option<String>,
    /// The machine's name.
    #[serde(default)]
    #[garde(length(chars, max = 255))]
    pub hostname: Option<String>,
    /// Comes back in the answer.
    #[serde(default)]
    #[garde(length(chars, max = 255))]
    pub nonce: Option<String>,
}

fn device(info: &Option<Value>, _: &()) -> garde::Result {
    match info {
        Some(Value::String(_) | Value::Object(_)) | None => {}
        Some(_) => return Err(garde::Error::new("must be text or an object")),
    }
    let size = info.as_ref().map_or(0, celaest_domain::json::stored_len);
    if size <= 4096 {
        Ok(())
    } else {
        Err(garde::Error::new("is larger than 4 KB"))
    }
}

/// Body of `POST /api/licenses/batch-validate`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// 1 to 100 validations. Each is checked on its own: a bad one does not spoil the others.
    #[garde(length(min = 1, max = 100))]
    #[schemars(with = "Vec<Validation>")]
    pub items: Vec<Box<RawValue>>,
}

/// The answer to one item of a batch: a verdict or an error.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchItem {
    /// Position in the request, from 0.
    pub index: usize,
    /// The verdict, as `validate` gives it.
    pub verdict: Option<Verdict>,
    /// Why there is none.
    #[schemars(with = "Option<Problem>")]
    pub error: Option<Value>,
}

/// The verdict on a license key.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Verdict {
    /// Whether the program may run.
    pub valid: bool,
    /// Good, or why not: the first that applies, in this order.
    #[schemars(with = "Code")]
    pub code: String,
    /// A sentence for people; null when valid.
    pub reason: Option<String>,
    /// The license; null unless valid.
    #[schemars(with = "Option<VerdictLicense>")]
    pub license: Option<Value>,
    /// The address that was validated.
    pub ip: VerdictIp,
    /// Free slots for addresses, -1 for any number; null unless that far was checked.
    pub remaining_ips: Option<i64>,
    /// Set when the key is in use from several addresses within five minutes.
    pub collision: Option<VerdictCollision>,
    /// The nonce of the request.
    pub nonce: Option<String>,
    /// When.
    pub checked_at: String,
}

/// A license that is valid, as its program sees it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "describes what the license's object writes")]
struct VerdictLicense {
    /// Identifier.
    id: Uuid,
    /// Where it is in its life.
    status: Status,
    /// From when on it is valid.
    starts_at: Option<String>,
    /// When it ends; null for never.
    expires_at: Option<String>,
    /// When its trial ends.
    trial_ends_at: Option<String>,
    /// Its plan.
    plan: Option<VerdictPlan>,
    /// The product that it is for.
    product: Option<VerdictProduct>,
    /// What it allows: the plan's limits, and its own before them; `max_ips` is always there.
    limits: Map<String, Value>,
    /// What the vendor noted with it.
    metadata: Value,
}

/// The plan of a valid license.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "describes what the license's object writes")]
struct VerdictPlan {
    /// Its code.
    code: String,
    /// What people call it.
    name: String,
    /// What it contains.
    features: Value,
}

/// The product of a valid license.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "describes what the license's object writes")]
struct VerdictProduct {
    /// Identifier.
    id: Uuid,
    /// Its code.
    code: String,
    /// What people call it.
    name: String,
}

/// The address of a verdict.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VerdictIp {
    /// As it was taken.
    pub address: String,
    /// Whether it has a slot.
    pub bound: bool,
    /// Whether it got the slot just now.
    pub newly_bound: bool,
}

/// A collision in a verdict.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VerdictCollision {
    /// How grave, by the number of addresses.
    #[schemars(with = "Severity")]
    pub severity: String,
    /// Addresses in the window.
    pub addresses: u32,
    /// The window, in seconds.
    pub window_seconds: u32,
}
