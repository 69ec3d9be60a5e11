//! What travels between the worker, the object and the queue.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A webhook as the object needs to know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Row id.
    pub webhook_id: Uuid,
    /// Its owner.
    pub organization_id: Uuid,
    /// Grows with every change; an older one is ignored.
    pub version: i64,
    /// Grows when somebody activates it or gives it another address: what was given up is tried again.
    #[serde(default)]
    pub generation: i64,
    /// Where events go.
    pub url: String,
    /// Whether they go.
    pub status: Status,
    /// What they are signed with, the current one first.
    pub secrets: Vec<SealedSecret>,
}

/// Whether events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At once.
    Active,
    /// They wait.
    Paused,
    /// They are dropped.
    Disabled,
    /// They are dropped, for good.
    Deleted,
}

/// A signing secret, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// Nonce and ciphertext, in base64.
    pub sealed: String,
    /// The key it is sealed with.
    pub key_version: u32,
    /// Signs no more from then on, in Unix milliseconds.
    pub expires_at_ms: Option<i64>,
}

/// Events for one webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enqueue {
    /// The webhook as it is now.
    pub endpoint: Endpoint,
    /// What it is to be told. An event that came before is ignored.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same on every attempt.
    pub id: Uuid,
    /// The dotted name.
    pub event_type: String,
    /// The body to send, byte for byte.
    pub body: String,
    /// Send it although it came before.
    #[serde(default)]
    pub replay: bool,
    /// Attempts that are in the log already; numbering goes on from there.
    #[serde(default)]
    pub attempts_made: u32,
}

/// One message of the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The webhook.
    pub webhook_id: Uuid,
    /// Its owner.
    pub organization_id: Uuid,
    /// The generation that `disabled` speaks of.
    pub generation: i64,
    /// Grows with every report of attempts.
    pub sequence: i64,
    /// Failed attempts since the last success.
    pub consecutive_failures: u32,
    /// When those began, in Unix milliseconds, later by the time in which nothing was tried.
    pub failing_since_ms: Option<i64>,
    /// The object stopped sending.
    pub disabled: Option<Reason>,
    /// What was tried.
    pub attempts: Vec<Attempt>,
}

/// Why the object stopped sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The receiver answered 410.
    Gone,
    /// It has only failed for too long.
    Failing,
    /// Too much waited for it.
    Backlog,
}

/// One attempt to deliver an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Row id.
    pub id: Uuid,
    /// The event.
    pub event_id: Uuid,
    /// Its name.
    pub event_type: String,
    /// Counted from 1.
    pub attempt_number: u32,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// How long it took.
    pub duration_ms: u32,
    /// What the receiver answered.
    pub response_status: Option<u16>,
    /// The first kilobyte of its answer.
    pub response_body: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// When the event is tried again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the receiver had it.
    pub delivered_at: Option<DateTime<Utc>>,
}
