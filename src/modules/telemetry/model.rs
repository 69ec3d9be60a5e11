//! Telemetry as programs send it and as it is read.

use crate::http::checks;
use crate::http::types::Moment;
use celaest_domain::audit::redacted_fields;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The largest body, in bytes: room for 100 events of the largest size.
pub const MAX_BODY_BYTES: usize = 1_048_576;

/// Body of `POST /api/telemetry`, of up to 1 MB.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// 1 to 100 events. All are taken, or none.
    #[garde(length(min = 1, max = 100), dive)]
    pub events: Vec<NewEvent>,
}

/// An event as a program reports it.
#[derive(Debug, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "NewTelemetryEvent")]
pub struct NewEvent {
    /// What kind of event; `error` for errors.
    #[garde(length(chars, min = 1, max = 100))]
    pub event_type: String,
    /// What happened.
    #[garde(length(chars, min = 1, max = 200))]
    pub event_name: String,
    /// A group of kinds.
    #[garde(length(chars, max = 50))]
    pub event_category: Option<String>,
    /// Whatever belongs to it, up to 8 KB as it is stored. Values whose name says that they are secret are
    /// not kept.
    #[serde(default, deserialize_with = "without_secrets")]
    #[garde(custom(checks::properties))]
    pub properties: Map<String, Value>,
    /// The program's own name of its run.
    #[garde(length(chars, max = 100))]
    pub session_id: Option<String>,
    /// The page it happened on.
    #[garde(length(chars, max = 500))]
    pub page_url: Option<String>,
    /// Where that page was come to from.
    #[garde(length(chars, max = 500))]
    pub referrer: Option<String>,
    /// What kind of device.
    #[garde(length(chars, max = 20))]
    pub device_type: Option<String>,
    /// Which browser.
    #[garde(length(chars, max = 50))]
    pub browser: Option<String>,
    /// Which operating system.
    #[garde(length(chars, max = 50))]
    pub os: Option<String>,
    /// When, within the last 7 days. Default: now.
    #[serde(skip_serializing)]
    pub occurred_at: Option<Moment>,
}

fn without_secrets<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    let properties = Map::deserialize(from)?;
    Ok(redacted_fields(&properties, &[]))
}

/// The answer to an [`Intake`].
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TelemetryAccepted")]
pub struct Taken {
    /// Events that will be written; 0 when telemetry is switched off.
    pub accepted: usize,
}

/// A reported event.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TelemetryEvent {
    /// Row id.
    pub id: Uuid,
    /// The organization of whoever reported it.
    pub organization_id: Option<Uuid>,
    /// Who reported it.
    pub user_id: Option<Uuid>,
    /// The program's own name of its run.
    pub session_id: Option<String>,
    /// What kind of event.
    pub event_type: String,
    /// A group of kinds.
    pub event_category: Option<String>,
    /// What happened.
    pub event_name: String,
    /// Whatever belongs to it.
    pub properties: Map<String, Value>,
    /// The page it happened on.
    pub page_url: Option<String>,
    /// Where that page was come to from.
    pub referrer: Option<String>,
    /// The address of the connection.
    pub ip_address: Option<String>,
    /// The program that sent it.
    pub user_agent: Option<String>,
    /// What kind of device.
    pub device_type: Option<String>,
    /// Which browser.
    pub browser: Option<String>,
    /// Which operating system.
    pub os: Option<String>,
    /// When it happened.
    pub created_at: String,
}

/// Errors of one name.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TelemetryError {
    /// Their name.
    pub event_name: String,
    /// How often.
    pub count: u64,
    /// To how many people.
    pub users: u64,
    /// The first time.
    pub first_seen: String,
    /// The last time.
    pub last_seen: String,
    /// What belonged to the last one.
    pub last_properties: Map<String, Value>,
}
