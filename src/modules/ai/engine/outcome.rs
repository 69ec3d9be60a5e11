//! What comes of a question.

use crate::error::{Code, Error};
use celaest_domain::ai::chat::Answer;
use celaest_domain::ai::failure::Failure;
use celaest_domain::ai::provider::Provider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One attempt: a model was asked with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AiAttempt")]
pub struct Attempt {
    /// Whose model.
    pub provider: Provider,
    /// The provider's name for it.
    pub model: String,
    /// `answered`, or why not: `invalid_key`, `rate_limited`, `timeout`, ….
    pub outcome: String,
    /// HTTP status of the provider, if there was an answer.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: i64,
}

impl Attempt {
    /// What `answered` is called.
    pub const ANSWERED: &'static str = "answered";
}

/// An answer, and what it took.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The call.
    pub call: Uuid,
    /// The license that was used.
    pub license: Uuid,
    /// Requests that it has left in the period; none without a limit.
    pub requests_left: Option<i64>,
    /// The answer.
    pub answer: Answer,
    /// Who answered.
    pub provider: Provider,
    /// The provider's name of the model that answered.
    pub model: String,
    /// The model.
    pub model_id: Uuid,
    /// The provider's key that was used.
    pub pool_key: Uuid,
    /// Every attempt, the last one answered.
    pub attempts: Vec<Attempt>,
    /// What it cost, in millionths of a dollar; nothing where that is not known.
    pub cost_micro: Option<i64>,
    /// How long providers took, in milliseconds.
    pub ai_ms: i64,
    /// How long everything else took.
    pub overhead_ms: i64,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub struct Failed {
    /// For whoever asked.
    pub error: Error,
    /// What was tried.
    pub attempts: Vec<Attempt>,
    /// Whether asking again, later, may end better.
    pub retryable: bool,
    /// How long to wait before that, in milliseconds, where it is known.
    pub retry_after_ms: Option<i64>,
}

impl Failed {
    /// What was refused before anybody was asked.
    pub fn refused(error: Error) -> Self {
        let code = error.code;
        Self {
            retry_after_ms: error.retry_after.map(|seconds| i64::from(seconds) * 1_000),
            retryable: code.status() >= 500 || code == Code::ConcurrencyLimit,
            attempts: Vec::new(),
            error,
        }
    }

    /// Notes what was tried, for whoever asked too.
    pub fn after(mut self, attempts: Vec<Attempt>) -> Self {
        if !attempts.is_empty() {
            let details = self.error.details.take();
            let mut details = details.unwrap_or_else(|| serde_json::json!({}));
            details["attempts"] = serde_json::json!(attempts);
            self.error.details = Some(details);
        }
        self.attempts = attempts;
        self
    }

    /// The question is at fault, as the provider says.
    pub fn rejected(provider: Provider, model: &str, failure: &Failure) -> Self {
        let details = serde_json::json!({
            "provider": provider, "model": model, "reason": failure.code, "message": failure.message,
        });
        Self::refused(Error::new(Code::ProviderRejected).with_details(details))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::refused(error)
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}
