//! A webhook, how it is made and changed, and what was delivered.

use crate::http::checks;
use crate::http::types::{Ident, Moment, Patch};
use celaest_domain::webhook;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 1_000;

/// A webhook as the API shows it, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Webhook {
    /// Identifier.
    pub id: Uuid,
    /// The organization whose events are sent.
    pub organization_id: Uuid,
    /// Who made it: it carries nothing that this person may not read.
    pub user_id: Uuid,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Where events are posted to.
    pub url: String,
    /// Subscriptions: event names, families such as `license.*`, or `*`.
    pub events: Vec<String>,
    /// Whether events are sent.
    pub status: Status,
    /// Failed attempts since the last success.
    pub consecutive_failures: i32,
    /// The first of those.
    pub failing_since: Option<String>,
    /// When the receiver last took an event.
    pub last_delivery_at: Option<String>,
    /// When it was disabled.
    pub disabled_at: Option<String>,
    /// `gone`: the receiver answered 410. `failing`: nothing but failures for too long. `backlog`: too much
    /// waited for it. `owner`: whoever made it is gone; activating it takes it over.
    pub disabled_reason: Option<String>,
    /// Until then secrets before the current one sign as well.
    pub previous_secret_expires_at: Option<String>,
    /// When it was created.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A webhook together with its secret, which is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WebhookWithSecret {
    /// The webhook.
    pub webhook: Webhook,
    /// `whsec_…`: what receivers verify signatures with. It is not shown again.
    pub secret: String,
}

/// Whether events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WebhookStatus")]
pub enum Status {
    /// At once.
    Active,
    /// They wait until the webhook is active again.
    Paused,
    /// No longer: the receiver is gone or has failed for too long.
    Disabled,
}

impl Status {
    /// The text in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// What a person can set the status to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WebhookSwitch")]
pub enum Switch {
    /// Send; also brings a disabled one back, with a clean record.
    Active,
    /// Let events wait.
    Paused,
}

impl From<Switch> for Status {
    fn from(switch: Switch) -> Self {
        match switch {
            Switch::Active => Self::Active,
            Switch::Paused => Self::Paused,
        }
    }
}

/// A webhook to be made.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewWebhook {
    /// For super administrators: whose events are sent.
    #[serde(default)]
    pub organization_id: Option<Uuid>,
    /// What people call it.
    #[garde(custom(checks::line::<100>), length(chars, min = 1, max = 100))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    #[garde(length(chars, max = MAX_DESCRIPTION))]
    pub description: Option<String>,
    /// Where events are posted to: public, `https`, at most 500 characters.
    pub url: String,
    /// Subscriptions: event names, families such as `license.*`, or `*`.
    #[garde(length(min = 1, max = 50), inner(custom(pattern)))]
    pub events: Vec<String>,
}

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct WebhookChanges {
    /// What people call it.
    #[serde(default)]
    #[garde(custom(checks::line::<100>), length(chars, min = 1, max = 100))]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default)]
    #[garde(custom(description_if_set))]
    pub description: Patch<String>,
    /// Where events are posted to.
    #[serde(default)]
    pub url: Option<String>,
    /// Subscriptions, all of them.
    #[serde(default)]
    #[garde(length(min = 1, max = 50), inner(inner(custom(pattern))))]
    pub events: Option<Vec<String>>,
    /// Send, or let events wait.
    #[serde(default)]
    pub status: Option<Switch>,
}

/// A body without fields.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookAction")]
pub struct Nothing {}

/// Which events to send again.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ReplaySince {
    /// Everything that happened at or after this time, at most seven days back.
    pub since: Moment,
    /// Of what happened at that very time only what comes after this event: the `continue_after` of the answer before.
    #[serde(default)]
    pub after: Option<Ident>,
}

/// What will be sent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Replayed {
    /// Events that will be sent again.
    pub events: u64,
    /// There are more from this time on: ask again with it as `since`.
    pub continue_since: Option<String>,
    /// And with this as `after`: much may have happened at one time.
    pub continue_after: Option<Uuid>,
}

/// The event that will be sent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Queued {
    /// The `webhook-id` that the receiver will see.
    pub event_id: Uuid,
}

/// One attempt to deliver an event.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "WebhookDelivery")]
pub struct Delivery {
    /// Identifier of the attempt.
    pub id: Uuid,
    /// The webhook.
    pub webhook_id: Uuid,
    /// The event, the same on every attempt.
    pub event_id: Uuid,
    /// Its name.
    pub event_type: String,
    /// What was sent; `null` for events that the caller may not read.
    pub payload: Option<Value>,
    /// Counted from 1.
    pub attempt_number: i32,
    /// What came of it.
    pub status: Outcome,
    /// What the receiver answered.
    pub response_status: Option<i32>,
    /// The first kilobyte of its answer.
    pub response_body: Option<String>,
    /// Why there was no answer.
    pub error_message: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i32>,
    /// When the event was to be tried again; `null`: not at all.
    pub next_attempt_at: Option<String>,
    /// When the receiver had it.
    pub delivered_at: Option<String>,
    /// When the attempt began.
    pub created_at: String,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WebhookDeliveryStatus")]
pub enum Outcome {
    /// The receiver has the event.
    Delivered,
    /// It does not.
    Failed,
}

/// A kind of event.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(rename = "WebhookEvent")]
pub struct EventType {
    /// The name to subscribe to.
    pub name: String,
    /// When it is sent.
    pub description: String,
    /// What one must be allowed to do to be told of it.
    pub permission: String,
    /// Only sent to webhooks that name it exactly.
    pub opt_in: bool,
}

fn description_if_set(patch: &Patch<String>, (): &()) -> garde::Result {
    let length = patch.value().map_or(0, |text| text.chars().count());
    if length > MAX_DESCRIPTION {
        return Err(garde::Error::new("length is greater than 1000"));
    }
    Ok(())
}

fn pattern(text: &str, (): &()) -> garde::Result {
    if webhook::is_pattern(text) {
        return Ok(());
    }
    Err(garde::Error::new(
        "is not an event, a family such as license.*, or *",
    ))
}
