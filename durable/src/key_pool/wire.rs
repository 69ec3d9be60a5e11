//! What travels between the worker and the object of a pool.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::stats::Series;

/// A key is wanted for one attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reserve<'a> {
    /// The model that is called, by the provider's name for it: for the statistics.
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    /// Tokens that the attempt is going to use, as far as anybody can say.
    pub tokens: u64,
    /// Keys that failed this request already: none of them is given out again.
    pub tried: Cow<'a, [Uuid]>,
    /// Age in seconds at which what is known is read again.
    pub max_age_s: u32,
    /// The answer to an earlier [`Reserved::Need`].
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub supply: Option<Supply<'a>>,
}

/// What the worker found in PostgreSQL.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Supply<'a> {
    /// The token of the request for it.
    pub token: u64,
    /// A [`Snapshot`].
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// The keys of a pool, as PostgreSQL shows them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub keys: Vec<Key>,
}

/// A key as PostgreSQL shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Key {
    pub id: Uuid,
    /// The key itself, encrypted, in base64.
    pub sealed: String,
    /// What it is encrypted with.
    pub key_version: u32,
    /// Raised when a person gives it a clean record.
    pub generation: u32,
    /// Whether it may be given out.
    pub active: bool,
    /// Keys of one group share their limits.
    pub group: String,
    pub priority: i32,
    pub weight: i32,
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Tokens a minute.
    pub tpm: Option<u32>,
    /// Requests a day.
    pub rpd: Option<u32>,
    /// When it ends, in Unix milliseconds.
    pub expires_ms: Option<i64>,
    /// Uses and tokens that were written down.
    #[serde(default)]
    pub uses: u64,
    #[serde(default)]
    pub used_tokens: u64,
}

/// The object's answer to a [`Reserve`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reserved {
    /// This key.
    Key(Box<Given>),
    /// All that could be used rest; the first comes back then.
    Cooling {
        /// In Unix milliseconds.
        until_ms: i64,
        /// Why.
        reason: String,
    },
    /// There is no key, or none that did not fail already.
    Empty {
        /// Keys that are there, usable or not.
        keys: usize,
    },
    /// Read the keys and ask again with this token.
    Need {
        /// Ties what is read to this request: changed by every `forget`.
        token: u64,
    },
}

/// A key for one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// To be settled.
    pub lease: Lease,
    /// The key, encrypted, in base64.
    pub sealed: String,
    /// What it is encrypted with.
    pub key_version: u32,
}

/// A key that was given out for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Settled once; 0 for a probe, which was not given out.
    pub id: u64,
    /// The key.
    pub key_id: Uuid,
    /// What it was when it was given out.
    pub generation: u32,
    /// Whose limits it counted against.
    pub group: String,
    /// The model that was called.
    pub model: String,
    /// The tokens that were reserved.
    pub tokens: u64,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was answered.
    Good,
    /// The question was at fault.
    Caller,
    /// The key was.
    Key,
    /// There was no capacity.
    Capacity,
    /// The provider failed.
    Fault,
    /// The model was at fault.
    Model,
    /// Nobody knows: it was never settled, or the attempt was given up.
    Unknown,
}

/// The end of a lease.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settle<'a> {
    /// Which one.
    pub lease: Lease,
    /// What became of it.
    pub verdict: Verdict,
    /// Names the failure; kept and shown with what it did to the key.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// Until when the key rests, in Unix milliseconds, where the provider said so.
    #[serde(default)]
    pub until_ms: Option<i64>,
    /// The key is of no use until somebody looks after it.
    #[serde(default)]
    pub disables: bool,
    /// Tokens of the question, where the provider said so.
    #[serde(default)]
    pub input: Option<u64>,
    /// Tokens of the answer.
    #[serde(default)]
    pub output: Option<u64>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// What it cost, in millionths of a dollar, where it is known.
    #[serde(default)]
    pub cost_micros: Option<u64>,
}

/// What a pool shows of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Shown {
    /// Its keys, as far as they were ever used.
    pub keys: Vec<KeyShown>,
    /// What was called with them.
    pub series: Vec<Series>,
}

/// What a pool knows of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyShown {
    /// Which one.
    pub id: Uuid,
    /// Whether it may be used.
    #[serde(flatten)]
    pub state: State,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Attempts on their way.
    pub in_flight: u32,
    /// Requests of the last minute and day of its group, and tokens of the last minute, where it has limits.
    pub minute: (u32, u64),
    /// The same of the last day.
    pub day: (u32, u64),
    /// Attempts since it was made.
    pub uses: u64,
    /// Tokens since it was made.
    pub tokens: u64,
    /// When it was last given out, in Unix milliseconds.
    pub last_used_ms: Option<i64>,
}

/// Whether a key may be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It may.
    Active,
    /// Not until then.
    Cooling {
        /// In Unix milliseconds.
        until_ms: i64,
        /// Why.
        reason: String,
        /// Since when.
        since_ms: i64,
    },
    /// Not until somebody looks after it.
    Disabled {
        /// Why.
        reason: String,
        /// Since when, in Unix milliseconds.
        since_ms: i64,
    },
}
