//! What an error means, by its status or inside a stream.

use serde_json::Value;

use super::{Head, wait};
use crate::ai::failure::{Class, Failure, code};
use crate::ai::provider::Provider;

/// An answer whose status is not 200.
pub(super) fn by_status(
    provider: Provider,
    head: &Head,
    body: Option<&Value>,
    now_ms: i64,
) -> Failure {
    let body = match body {
        // Gemini's streams fail with a list of one.
        Some(Value::Array(items)) => items.first().unwrap_or(&Value::Null),
        Some(body) => body,
        None => &Value::Null,
    };
    let mut failure = judge(provider, head.status, body);
    failure.status = Some(head.status);
    if matches!(failure.class, Class::Key | Class::Capacity | Class::Fault) {
        failure.until_ms = wait::until(provider, head, body, now_ms);
    }
    failure
}

/// An error inside an answer whose status was good.
pub(super) fn inside(provider: Provider, body: &Value, now_ms: i64) -> Failure {
    let said = Said::of(body);
    let status = match (said.status, said.kind) {
        (Some(status), _) => status,
        (None, "insufficient_quota" | "tokens" | "requests" | "RESOURCE_EXHAUSTED") => 429,
        (None, kind) if kind.starts_with("rate_limit") => 429,
        (None, "invalid_request_error" | "INVALID_ARGUMENT" | "FAILED_PRECONDITION") => 400,
        (None, "authentication_error" | "UNAUTHENTICATED") => 401,
        (None, "billing_error") => 402,
        (None, "permission_error" | "PERMISSION_DENIED") => 403,
        (None, "not_found_error" | "NOT_FOUND") => 404,
        (None, "request_too_large") => 413,
        (None, "timeout_error" | "DEADLINE_EXCEEDED") => 504,
        (None, "overloaded_error" | "service_unavailable" | "UNAVAILABLE") => 503,
        _ => 500,
    };
    let mut failure = judge(provider, status, body);
    failure.until_ms = wait::until(provider, &Head::default(), body, now_ms);
    failure
}

/// What the different shapes of an error say.
struct Said<'v> {
    /// The kind in a word; empty when there is none.
    kind: &'v str,
    /// The cause in a word; empty when there is none.
    code: &'v str,
    /// The sentence; empty when there is none.
    message: &'v str,
    /// A status in the body.
    status: Option<u16>,
}

impl<'v> Said<'v> {
    fn of(body: &'v Value) -> Self {
        let groq = &body["x_groq"]["error"];
        let error = match body["error"].is_null() {
            true => groq,
            false => &body["error"],
        };
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        let kind = match text("type") {
            "" => text("status"),
            kind => kind,
        };
        let status = error["code"].as_u64().and_then(|it| u16::try_from(it).ok());
        Self {
            kind,
            code: text("code"),
            message: error.as_str().unwrap_or_else(|| text("message")),
            status: status.filter(|it| (400..600).contains(it)),
        }
    }

    fn is_error(&self) -> bool {
        !(self.kind.is_empty() && self.code.is_empty() && self.message.is_empty())
    }

    fn is(&self, word: &str) -> bool {
        self.kind == word || self.code == word
    }
}

fn judge(provider: Provider, status: u16, body: &Value) -> Failure {
    let said = Said::of(body);
    match status {
        400 | 403 | 404 | 422 if names_no_model(&said) => {
            Failure::new(Class::Model, code::MODEL_NOT_FOUND)
        }
        400 if provider == Provider::Gemini && is_bad_gemini_key(body, &said) => {
            Failure::disabling(code::INVALID_KEY)
        }
        // The project behind the key may not: no billing, wrong country.
        400 if provider == Provider::Gemini && said.is("FAILED_PRECONDITION") => {
            Failure::new(Class::Key, code::FORBIDDEN)
        }
        400 if provider == Provider::Groq && said.is("tool_use_failed") => {
            Failure::new(Class::Model, code::BAD_TOOL_CALL)
        }
        400 | 422 if said.is_error() => {
            let code = match is_too_long(&said) {
                true => code::TOO_LONG,
                false => code::INVALID_REQUEST,
            };
            Failure::new(Class::Caller, code).saying(said.message)
        }
        // Nobody's judgement about the question: something in between answered.
        400 | 422 => Failure::invalid_answer(),
        401 => Failure::disabling(code::INVALID_KEY),
        402 => Failure::disabling(code::NO_BALANCE),
        403 => Failure::new(Class::Key, code::FORBIDDEN),
        404 => Failure::new(Class::Model, code::MODEL_NOT_FOUND),
        413 => Failure::new(Class::Caller, code::TOO_LONG).saying(said.message),
        429 if is_out_of_money(&said) => Failure::disabling(code::NO_BALANCE),
        429 if wait::is_of_the_day(body) => Failure::new(Class::Capacity, code::DAY_USED_UP),
        429 => Failure::new(Class::Capacity, code::RATE_LIMITED),
        498 | 503 | 529 => Failure::new(Class::Capacity, code::OVERLOADED),
        408 | 504 => Failure::new(Class::Fault, code::TIMEOUT),
        500..=599 => Failure::new(Class::Fault, code::PROVIDER_ERROR),
        _ => Failure::invalid_answer(),
    }
}

fn names_no_model(said: &Said<'_>) -> bool {
    said.is("model_not_found") || said.is("model_decommissioned")
}

/// The cause in its details, or its sentence. A sentence that only contains these words may quote the question.
fn is_bad_gemini_key(body: &Value, said: &Said<'_>) -> bool {
    let details = body["error"]["details"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    details.iter().any(|it| it["reason"] == "API_KEY_INVALID")
        || said.message.starts_with("API key not valid")
        || said.message.starts_with("API key expired")
}

fn is_out_of_money(said: &Said<'_>) -> bool {
    [
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
    ]
    .iter()
    .any(|word| said.is(word))
}

fn is_too_long(said: &Said<'_>) -> bool {
    let words = [
        "maximum context length",
        "prompt is too long",
        "maximum number of tokens",
    ];
    said.is("context_length_exceeded") || words.iter().any(|it| said.message.contains(it))
}
