//! What a provider's failure means for the next attempt.

use serde::{Deserialize, Serialize};

/// Whose fault it is, and so who is tried next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiFailureClass"))]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The question's: it is answered as it is, nobody else is asked.
    Caller,
    /// The key's: it is disabled or cooled, another key is tried.
    Key,
    /// There is no capacity: the key is cooled, another key is tried.
    Capacity,
    /// The provider's: tried again elsewhere.
    Fault,
    /// The model's: the next model is tried, not the next key.
    Model,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who is tried next.
    pub class: Class,
    /// Names the failure for programs: `invalid_key`, `rate_limited`, `timeout`.
    pub code: &'static str,
    /// The status it came with, if there was an answer.
    pub status: Option<u16>,
    /// What the provider said, cut and cleaned of what looks like a secret; only where the question is at fault,
    /// and for its author alone: it may quote the question, so no log has it.
    pub message: Option<String>,
    /// Until when the key rests, in Unix milliseconds, where the provider says so. A deadline that is already
    /// known never gets shorter.
    pub until_ms: Option<i64>,
    /// The key is of no use until somebody looks after it.
    pub disables: bool,
}
