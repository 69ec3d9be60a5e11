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
    /// Names the failure for programs; [`code`] has them.
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

/// What a failure is called.
pub mod code {
    /// The question is not as the provider or the model wants it.
    pub const INVALID_REQUEST: &str = "invalid_request";
    /// The question is longer than the model takes.
    pub const TOO_LONG: &str = "context_length_exceeded";
    /// The provider does not know the key, or no longer.
    pub const INVALID_KEY: &str = "invalid_key";
    /// The key may not do this.
    pub const FORBIDDEN: &str = "forbidden";
    /// The account behind the key has no money or quota left.
    pub const NO_BALANCE: &str = "no_balance";
    /// The key's requests or tokens of a minute are used up.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// The key's requests or tokens of a day are used up.
    pub const DAY_USED_UP: &str = "daily_quota_used_up";
    /// The provider has too much to do.
    pub const OVERLOADED: &str = "overloaded";
    /// The provider failed.
    pub const PROVIDER_ERROR: &str = "provider_error";
    /// No connection.
    pub const UNREACHABLE: &str = "unreachable";
    /// No answer in time.
    pub const TIMEOUT: &str = "timeout";
    /// The answer is not what this provider answers with.
    pub const INVALID_ANSWER: &str = "invalid_answer";
    /// The answer is longer than any may be.
    pub const TOO_LARGE: &str = "answer_too_large";
    /// The stream ended before the answer did.
    pub const CUT: &str = "stream_cut";
    /// The answer is empty where it must not be.
    pub const EMPTY: &str = "empty_answer";
    /// The model is not there, or not for this key.
    pub const MODEL_NOT_FOUND: &str = "model_not_found";
    /// The model asked for a function in a way that nobody understands.
    pub const BAD_TOOL_CALL: &str = "bad_tool_call";
    /// The model, or the way to it, cannot do what is asked.
    pub const UNSUPPORTED: &str = "unsupported";
}

impl Failure {
    /// A failure about which nothing more is known.
    #[must_use]
    pub fn new(class: Class, code: &'static str) -> Self {
        Self {
            class,
            code,
            status: None,
            message: None,
            until_ms: None,
            disables: false,
        }
    }

    /// There was no answer, or no more of it, in time.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new(Class::Fault, code::TIMEOUT)
    }

    /// There was no connection.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::new(Class::Fault, code::UNREACHABLE)
    }

    /// The answer is longer than [`super::wire::MAX_ANSWER_BYTES`].
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(Class::Fault, code::TOO_LARGE)
    }

    /// The answer is none of this provider's.
    #[must_use]
    pub fn invalid_answer() -> Self {
        Self::new(Class::Fault, code::INVALID_ANSWER)
    }

    /// The key is of no use until somebody looks after it.
    #[must_use]
    pub(super) fn disabling(code: &'static str) -> Self {
        Self {
            disables: true,
            ..Self::new(Class::Key, code)
        }
    }

    /// With the provider's own words.
    #[must_use]
    pub fn saying(mut self, words: &str) -> Self {
        self.message = Some(clean(words)).filter(|words| !words.is_empty());
        self
    }
}

/// The longest part of a provider's words that is passed on, in characters.
const MAX_WORDS: usize = 300;

/// Words without control characters, without what looks like a key, and not too many.
fn clean(words: &str) -> String {
    let secret = |word: &str| {
        let has = |test: fn(char) -> bool| word.chars().any(test);
        let mixed = has(|it| it.is_ascii_digit())
            && has(|it| it.is_ascii_uppercase())
            && has(|it| it.is_ascii_lowercase());
        ["sk-", "gsk_", "AIza", "xai-"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
            || word.contains("***")
            || (word.len() >= 24 && mixed)
    };
    let belongs = |char: char| char.is_ascii_alphanumeric() || "-_*.".contains(char);
    let mut out = String::new();
    let mut rest: String = words.chars().take(4 * MAX_WORDS).collect();
    rest.push(' ');
    let mut word = String::new();
    for char in rest.chars() {
        if belongs(char) {
            word.push(char);
            continue;
        }
        out.push_str(if secret(&word) { "…" } else { &word });
        word.clear();
        out.push(if char.is_control() { ' ' } else { char });
    }
    let cut: String = out.trim().chars().take(MAX_WORDS).collect();
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_no_message() {
        for (said, passed_on) in [
            (
                "Incorrect API key provided: sk-abc123.",
                "Incorrect API key provided: …",
            ),
            ("key \"AIzaSyA-12_34\" is bad\n\u{7}", "key \"…\" is bad"),
            ("Wrong: gsk_***abc!", "Wrong: …!"),
            ("token Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1", "token …"),
            (
                "Unknown model gpt-5.4-mini-2026-03-01",
                "Unknown model gpt-5.4-mini-2026-03-01",
            ),
        ] {
            assert_eq!(clean(said), passed_on);
        }
        assert_eq!(clean(&"é ".repeat(1_000)).chars().count(), MAX_WORDS);
        assert_eq!(Failure::timeout().saying("  \n").message, None);
    }
}
