//! What errors mean.

use super::*;
use serde_json::json;

fn fails(provider: Provider, status: u16, body: Value) -> Failure {
    answer(
        provider,
        &head(status, &[]),
        body.to_string().as_bytes(),
        NOW,
    )
    .unwrap_err()
}

fn of_openai(kind: &str, code: Value) -> Value {
    json!({"error": {"message": "Sentence.", "type": kind, "param": null, "code": code}})
}

fn of_anthropic(kind: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": "Sentence."}, "request_id": "req"})
}

fn of_gemini(code: u16, status: &str, details: Value) -> Value {
    json!({"error": {"code": code, "message": "Sentence.", "status": status, "details": details}})
}

#[test]
fn whose_fault_it_is() {
    use Class::{Caller, Capacity, Fault, Key, Model};
    use Provider::{Anthropic, DeepSeek, Gemini, Groq, Local, OpenAi};
    let bad_key =
        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let sentence = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT",
        "message": "API key not valid. Please pass a valid API key."}});
    for (provider, status, body, class, name, disables) in [
        (
            OpenAi,
            400,
            of_openai("invalid_request_error", json!(null)),
            Caller,
            code::INVALID_REQUEST,
            false,
        ),
        (
            OpenAi,
            400,
            of_openai("invalid_request_error", json!("context_length_exceeded")),
            Caller,
            code::TOO_LONG,
            false,
        ),
        (
            OpenAi,
            401,
            of_openai("invalid_request_error", json!("invalid_api_key")),
            Key,
            code::INVALID_KEY,
            true,
        ),
        (
            OpenAi,
            403,
            of_openai("x", json!(null)),
            Key,
            code::FORBIDDEN,
            false,
        ),
        (
            OpenAi,
            404,
            of_openai("invalid_request_error", json!("model_not_found")),
            Model,
            code::MODEL_NOT_FOUND,
            false,
        ),
        (
            OpenAi,
            429,
            of_openai("requests", json!("rate_limit_exceeded")),
            Capacity,
            code::RATE_LIMITED,
            false,
        ),
        (
            OpenAi,
            429,
            of_openai("insufficient_quota", json!("insufficient_quota")),
            Key,
            code::NO_BALANCE,
            true,
        ),
        (
            OpenAi,
            500,
            of_openai("server_error", json!(null)),
            Fault,
            code::PROVIDER_ERROR,
            false,
        ),
        (
            OpenAi,
            503,
            json!("overloaded"),
            Capacity,
            code::OVERLOADED,
            false,
        ),
        (OpenAi, 502, json!(null), Fault, code::PROVIDER_ERROR, false),
        (
            OpenAi,
            400,
            json!("<html>"),
            Fault,
            code::INVALID_ANSWER,
            false,
        ),
        (OpenAi, 418, json!({}), Fault, code::INVALID_ANSWER, false),
        (OpenAi, 301, json!({}), Fault, code::INVALID_ANSWER, false),
        (
            Groq,
            498,
            of_openai("x", json!(null)),
            Capacity,
            code::OVERLOADED,
            false,
        ),
        (
            Groq,
            400,
            of_openai("invalid_request_error", json!("tool_use_failed")),
            Model,
            code::BAD_TOOL_CALL,
            false,
        ),
        (
            Groq,
            413,
            of_openai("x", json!(null)),
            Caller,
            code::TOO_LONG,
            false,
        ),
        (
            DeepSeek,
            402,
            of_openai("unknown_error", json!("invalid_request_error")),
            Key,
            code::NO_BALANCE,
            true,
        ),
        (
            DeepSeek,
            422,
            of_openai("invalid_request_error", json!(null)),
            Caller,
            code::INVALID_REQUEST,
            false,
        ),
        (
            Anthropic,
            400,
            of_anthropic("invalid_request_error"),
            Caller,
            code::INVALID_REQUEST,
            false,
        ),
        (
            Anthropic,
            401,
            of_anthropic("authentication_error"),
            Key,
            code::INVALID_KEY,
            true,
        ),
        (
            Anthropic,
            402,
            of_anthropic("billing_error"),
            Key,
            code::NO_BALANCE,
            true,
        ),
        (
            Anthropic,
            403,
            of_anthropic("permission_error"),
            Key,
            code::FORBIDDEN,
            false,
        ),
        (
            Anthropic,
            404,
            of_anthropic("not_found_error"),
            Model,
            code::MODEL_NOT_FOUND,
            false,
        ),
        (
            Anthropic,
            413,
            of_anthropic("request_too_large"),
            Caller,
            code::TOO_LONG,
            false,
        ),
        (
            Anthropic,
            429,
            of_anthropic("rate_limit_error"),
            Capacity,
            code::RATE_LIMITED,
            false,
        ),
        (
            Anthropic,
            500,
            of_anthropic("api_error"),
            Fault,
            code::PROVIDER_ERROR,
            false,
        ),
        (
            Anthropic,
            504,
            of_anthropic("timeout_error"),
            Fault,
            code::TIMEOUT,
            false,
        ),
        (
            Anthropic,
            529,
            of_anthropic("overloaded_error"),
            Capacity,
            code::OVERLOADED,
            false,
        ),
        (
            Gemini,
            400,
            of_gemini(400, "INVALID_ARGUMENT", json!([])),
            Caller,
            code::INVALID_REQUEST,
            false,
        ),
        (
            Gemini,
            400,
            of_gemini(400, "INVALID_ARGUMENT", bad_key),
            Key,
            code::INVALID_KEY,
            true,
        ),
        (Gemini, 400, json!([sentence]), Key, code::INVALID_KEY, true),
        (
            Gemini,
            400,
            of_gemini(400, "FAILED_PRECONDITION", json!([])),
            Key,
            code::FORBIDDEN,
            false,
        ),
        (
            Gemini,
            404,
            of_gemini(404, "NOT_FOUND", json!([])),
            Model,
            code::MODEL_NOT_FOUND,
            false,
        ),
        (
            Gemini,
            429,
            of_gemini(429, "RESOURCE_EXHAUSTED", json!([])),
            Capacity,
            code::RATE_LIMITED,
            false,
        ),
        (
            Gemini,
            429,
            of_gemini(
                429,
                "RESOURCE_EXHAUSTED",
                json!([{"violations": [{"quotaId": "XPerDayY"}]}]),
            ),
            Capacity,
            code::DAY_USED_UP,
            false,
        ),
        (
            Gemini,
            503,
            of_gemini(503, "UNAVAILABLE", json!([])),
            Capacity,
            code::OVERLOADED,
            false,
        ),
        (
            Local,
            400,
            json!({"error": "bad"}),
            Caller,
            code::INVALID_REQUEST,
            false,
        ),
        (
            Local,
            404,
            json!({"error": "model 'x' not found"}),
            Model,
            code::MODEL_NOT_FOUND,
            false,
        ),
        (
            Local,
            500,
            json!({"error": "llama runner crashed"}),
            Fault,
            code::PROVIDER_ERROR,
            false,
        ),
    ] {
        let found = fails(provider, status, body.clone());
        assert_eq!(
            (found.class, found.code, found.disables),
            (class, name, disables),
            "{provider} {status} {body}"
        );
        assert_eq!(found.status, Some(status));
        // Only who asked the wrong question is told the provider's words.
        assert_eq!(
            found.message.is_some(),
            class == Caller,
            "{provider} {status} {body}"
        );
    }
}

#[test]
fn the_question_cannot_disable_a_key() {
    let quoting = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT",
        "message": "Unknown name \"API key not valid\": API_KEY_INVALID"}});
    assert_eq!(fails(Provider::Gemini, 400, quoting).class, Class::Caller);
    let quoting = of_openai("invalid_request_error", json!("API key not valid"));
    assert_eq!(fails(Provider::OpenAi, 400, quoting).class, Class::Caller);
}

#[test]
fn until_when() {
    let failure = |provider, status, headers: &[(&str, &str)]| {
        answer(provider, &head(status, headers), b"{}", NOW)
            .unwrap_err()
            .until_ms
            .map(|it| it - NOW)
    };
    assert_eq!(
        failure(Provider::Groq, 429, &[("retry-after", "2")]),
        Some(2_000)
    );
    assert_eq!(
        failure(Provider::Anthropic, 529, &[("retry-after", "2.5")]),
        Some(2_500)
    );
    assert_eq!(
        failure(Provider::OpenAi, 503, &[("retry-after-ms", "70")]),
        Some(70)
    );
    assert_eq!(failure(Provider::OpenAi, 500, &[]), None);
    assert_eq!(
        failure(Provider::OpenAi, 404, &[("retry-after", "2")]),
        None
    );
}
