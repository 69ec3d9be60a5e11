//! What operators see of the system.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A message that no consumer could deal with.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DeadLetter {
    /// Identifier.
    pub id: Uuid,
    /// Where it came from, and goes when it is sent again.
    pub queue: String,
    /// Whether somebody has sent it again.
    pub status: Status,
    /// Why it is here.
    pub reason: String,
    /// The size of the message, in bytes.
    pub bytes: i64,
    /// How often it came here.
    pub deaths: i32,
    /// When the queue took it the last time.
    pub queued_at: String,
    /// When it came here first.
    pub first_seen_at: String,
    /// When it came here last.
    pub last_seen_at: String,
    /// When it was sent again.
    pub replayed_at: Option<String>,
    /// Who sent it again.
    pub replayed_by: Option<Uuid>,
}

/// A dead letter with its message.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OpenedLetter {
    /// The letter.
    pub letter: DeadLetter,
    /// The message as the queue had it.
    pub body: String,
}

/// Where a dead letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DeadLetterStatus")]
pub enum Status {
    /// Somebody has to look at it.
    Waiting,
    /// It was sent to its queue again, and has not come back.
    Replayed,
}

impl Status {
    /// The text in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Replayed => "replayed",
        }
    }
}

/// A body without fields.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReplayLetter")]
pub struct Nothing {}

/// How the system is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SystemStatus {
    /// What was committed and not dealt with yet.
    pub outbox: Backlog,
    /// Dead letters by queue.
    pub dead_letters: Vec<Letters>,
    /// The last run of each job.
    pub jobs: Vec<JobRun>,
    /// The latest events, at most 20.
    pub events: Vec<SystemEvent>,
}

/// What waits in the outbox. Counts end at 10,000.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "OutboxBacklog")]
pub struct Backlog {
    /// Messages that no consumer has dealt with.
    pub waiting: u64,
    /// Of these, sent more than once.
    pub repeated: u64,
    /// Of these, parked until somebody has dealt with their dead letters.
    pub parked: u64,
    /// When the oldest that is not parked was written.
    pub oldest_at: Option<String>,
    /// Why the last one could not be sent.
    pub last_error: Option<String>,
}

/// Dead letters of one queue. Counts end at 10,000.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "DeadLetterCount")]
pub struct Letters {
    /// The queue.
    pub queue: String,
    /// Letters that somebody has to look at.
    pub waiting: u64,
}

/// The last run of a job.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct JobRun {
    /// The job.
    pub name: String,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub finished_at: String,
    /// How many things it dealt with; `null`: it failed.
    pub done: Option<i64>,
    /// Runs ever.
    pub runs: i64,
    /// Of these, failed.
    pub failures: i64,
    /// When it failed last.
    pub last_failed_at: Option<String>,
    /// Why it failed last.
    pub last_error: Option<String>,
}

/// Something that happened to the system itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SystemEvent {
    /// Identifier.
    pub id: Uuid,
    /// What kind.
    pub event_type: String,
    /// `debug`, `info`, `warning`, `error` or `critical`.
    pub severity: String,
    /// What it happened to.
    pub source: String,
    /// What happened.
    pub message: String,
    /// When.
    pub created_at: String,
}
