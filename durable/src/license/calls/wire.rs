//! What travels between the worker, the object and the queue of records.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::license::wire::{Supply, Wanted};

/// The error code of a call of whose end nobody told.
pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";

/// What is known of a call when it begins: enough for a record, should nobody tell of its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallMeta {
    /// The call, a UUID of version 7.
    pub id: Uuid,
    /// Who called.
    pub user_id: Uuid,
    /// With which of our API keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_key_id: Option<Uuid>,
    /// The API key whose spending that one goes on with, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Uuid>,
    /// What kind of call: `chat`, `completion`, `process`, `task`.
    pub kind: String,
    /// The task that it was made for, which has a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    /// The prompt that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<Uuid>,
    /// The request it came in, as the log names it.
    pub request_id: String,
}

impl CallMeta {
    /// The API key whose spending the call belongs to.
    pub fn account(&self) -> Option<Uuid> {
        self.account_id.or(self.caller_key_id)
    }
}

/// Asks for room for one call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReserveCall<'a> {
    /// The call.
    pub call: CallMeta,
    /// The license that was meant; the name of the object may lead to another one by now.
    pub license_id: Uuid,
    /// The organization whose license it must be; none for one who sees all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    /// The person whose license it must be, for callers who see only their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<Uuid>,
    /// The most the call may cost, in millionths of a dollar; 0 where no price is known.
    pub cost_micro: i64,
    /// What the caller's API key may spend in a month, in millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_budget_micro: Option<i64>,
    /// How long from now its end may take to be told, in milliseconds.
    pub patience_ms: i64,
    /// Age at which a snapshot is read again, in seconds.
    pub snapshot_ttl_s: u32,
    /// The answer to an earlier [`CallAnswer::NeedSnapshot`].
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub supply: Option<Supply<'a>>,
}

/// What kind of limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Requests in the period.
    Requests,
    /// Calls at the same time.
    Concurrency,
    /// Money of the license in the period.
    Budget,
    /// Money of the caller's API key in the period.
    KeyBudget,
}

/// What remains after a call was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Requests in the period; none without a limit.
    pub requests: Option<i64>,
    /// End of the period, in Unix milliseconds.
    pub resets_at: i64,
}

/// The object's answer to a [`ReserveCall`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallAnswer {
    /// It may go on.
    Granted {
        /// The license's vendor.
        organization_id: Uuid,
        /// What remains.
        left: Left,
        /// A limit is near: somebody may wait for what the call gives back.
        #[serde(default)]
        near: bool,
    },
    /// The license may not be used: the code of its verdict.
    Refused(String),
    /// A limit is reached; money in millionths of a dollar.
    Full {
        /// Which one.
        limit: Limit,
        /// How much it allows.
        most: i64,
        /// How much is used, what is under way included.
        used: i64,
        /// End of the period, in Unix milliseconds.
        resets_at: i64,
    },
    /// This call was let in before. One of a task is joined instead: whoever made it first may be gone.
    Repeated,
    /// No such license, or not the caller's.
    Missing,
    /// Read the license and call again.
    NeedSnapshot(Wanted),
    /// Neither Postgres nor a snapshot that may be used.
    Unavailable,
}

/// How a call ended that reached a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: i64,
    /// With an answer.
    pub completed: bool,
    /// It counts as one of the license's requests.
    pub counts: bool,
    /// Why not, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Tokens in, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_input: Option<u64>,
    /// Tokens out, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_output: Option<u64>,
    /// What it cost in millionths of a dollar, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro: Option<i64>,
    /// The model that answered, or was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_id: Option<Uuid>,
    /// The provider's key that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_key_id: Option<Uuid>,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settle {
    /// It reached no provider: as if it had never been.
    GivenBack,
    /// It reached one.
    Ended(Ended),
}

/// Tells what became of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettleCall {
    /// The call.
    pub id: Uuid,
    /// Its end.
    pub settle: Settle,
}

/// A record that Postgres has, as it counts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The call.
    pub id: Uuid,
    /// When it began, in Unix milliseconds.
    pub at: i64,
    /// It counts as a request.
    pub counts: bool,
    /// What it cost in millionths of a dollar, 0 where unknown.
    pub cost_micro: i64,
    /// The API key whose spending it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Uuid>,
    /// It was stored just now; not when it had been before.
    pub fresh: bool,
}

/// What Postgres shows of a license's usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Start of the running period.
    pub from: DateTime<Utc>,
    /// Its end; none where nobody set one yet.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// Start of the license, from which periods are counted.
    pub starts_at: DateTime<Utc>,
    /// Requests in the period.
    pub requests: i64,
    /// Money in the period, in millionths of a dollar.
    pub cost_micro: i64,
    /// The same by API key.
    #[serde(default)]
    pub keys: HashMap<Uuid, i64>,
}

/// One call, for Postgres: a row in `license_usage_log`, and one in `processed_tasks` unless it was made for
/// a task that has one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The license.
    pub license_id: Uuid,
    /// Its vendor.
    pub organization_id: Uuid,
    /// The call.
    #[serde(flatten)]
    pub call: CallMeta,
    /// When it began, in Unix milliseconds.
    pub started_at: i64,
    /// How it ended.
    pub ended: Ended,
    /// What only the worker that made the call knows; a record of the object's own has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Box<RawValue>>,
}
