//! Whole answers.

use super::*;
use crate::ai::chat::{FunctionCall, FunctionType, Replay, ToolCall};
use serde_json::json;

fn read(provider: Provider, body: Value) -> Result<Answer, Failure> {
    let head = head(
        200,
        &[
            ("content-type", "application/json; charset=utf-8"),
            ("x-request-id", "req-1"),
        ],
    );
    answer(provider, &head, body.to_string().as_bytes(), NOW)
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.into(),
        kind: FunctionType::Function,
        function: FunctionCall {
            name: "look".into(),
            arguments: arguments.into(),
        },
    }
}

fn usage(input: u64, cached: Option<u64>, output: u64, reasoning: Option<u64>) -> Option<Usage> {
    Some(Usage {
        input,
        cached,
        output,
        reasoning,
    })
}

#[test]
fn openai() {
    let body = |message: Value, reason: &str, usage: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}]})
    };
    let counted = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}});
    let found = read(
        Provider::OpenAi,
        body(
            json!({"role": "assistant", "content": "Hi", "refusal": null}),
            "stop",
            counted,
        ),
    )
    .unwrap();
    assert_eq!(
        found,
        Answer {
            content: "Hi".into(),
            refusal: None,
            tool_calls: vec![],
            finish: Finish::Stop,
            usage: usage(10, Some(4), 5, Some(3)),
            provider_request_id: Some("req-1".into()),
            replay: None,
        }
    );
    let calls = json!([{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\": 1}"}},
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": ""}}]);
    let found = read(
        Provider::Groq,
        body(
            json!({"content": null, "tool_calls": calls}),
            "tool_calls",
            json!(null),
        ),
    )
    .unwrap();
    assert_eq!(
        found.tool_calls,
        [call("c1", "{\"at\": 1}"), call("c2", "")]
    );
    assert_eq!((found.finish, found.usage), (Finish::ToolCalls, None));
    let found = read(
        Provider::OpenAi,
        body(
            json!({"content": null, "refusal": "No."}),
            "stop",
            json!(null),
        ),
    )
    .unwrap();
    assert_eq!(found.refusal.as_deref(), Some("No."));
    for (reason, finish) in [
        ("length", Finish::Length),
        ("content_filter", Finish::ContentFilter),
        ("eos", Finish::Stop),
    ] {
        let found = read(
            Provider::OpenAi,
            body(json!({"content": "x"}), reason, json!(null)),
        )
        .unwrap();
        assert_eq!(found.finish, finish);
    }
    let cache = json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2});
    let found = read(
        Provider::DeepSeek,
        body(
            json!({"content": "x", "reasoning_content": "hm"}),
            "stop",
            cache,
        ),
    )
    .unwrap();
    assert_eq!(found.usage, usage(10, Some(8), 5, None));
    assert_eq!(
        found.replay,
        Some(Replay::DeepSeek {
            reasoning_content: "hm".into()
        })
    );
    let busy = read(
        Provider::DeepSeek,
        body(
            json!({"content": "x"}),
            "insufficient_system_resource",
            json!(null),
        ),
    );
    assert_eq!(busy.unwrap_err().class, Class::Fault);
    let spaces = read(
        Provider::DeepSeek,
        body(json!({"content": " \n "}), "stop", json!(null)),
    );
    assert_eq!(spaces.unwrap_err().code, code::EMPTY);
}

#[test]
fn anthropic() {
    let body = |content: Value, reason: &str| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "content": content, "stop_reason": reason,
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 5,
                "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}}})
    };
    let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
    let content = json!([thinking, {"type": "text", "text": "Lo"}, {"type": "text", "text": "ok"},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}}, {"type": "server_thing"}]);
    let found = read(Provider::Anthropic, body(content, "tool_use")).unwrap();
    assert_eq!(
        found,
        Answer {
            content: "Look".into(),
            refusal: None,
            tool_calls: vec![call("c1", "{\"at\":1}")],
            finish: Finish::ToolCalls,
            usage: usage(35, Some(20), 7, Some(4)),
            provider_request_id: Some("req-1".into()),
            replay: Some(Replay::Anthropic {
                thinking: vec![thinking]
            }),
        }
    );
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("refusal", Finish::ContentFilter),
    ] {
        assert_eq!(
            read(Provider::Anthropic, body(json!([]), reason))
                .unwrap()
                .finish,
            finish
        );
    }
}

#[test]
fn gemini() {
    let found = read(Provider::Gemini, json!({
        "candidates": [{"content": {"role": "model", "parts": [
            {"text": "thinking aloud", "thought": true}, {"text": "Look"},
            {"functionCall": {"name": "look", "args": {"at": 1}}, "thoughtSignature": "s"},
            {"functionCall": {"id": "own", "name": "look"}},
        ]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 20,
            "toolUsePromptTokenCount": 2, "cachedContentTokenCount": 3, "totalTokenCount": 37},
        "responseId": "resp",
    })).unwrap();
    assert_eq!(found.content, "Look");
    assert_eq!(
        found.tool_calls,
        [call("call_resp_0", "{\"at\":1}"), call("own", "{}")]
    );
    assert_eq!(found.finish, Finish::ToolCalls);
    assert_eq!(found.usage, usage(12, Some(3), 25, Some(20)));
    assert_eq!(found.usage.unwrap().total(), 37);
    assert_eq!(
        found.replay,
        Some(Replay::Gemini {
            signatures: [("call_resp_0".into(), "s".into())].into()
        })
    );
    let blocked = read(Provider::Gemini, json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})).unwrap();
    assert_eq!(
        (blocked.finish, blocked.content.as_str()),
        (Finish::ContentFilter, "")
    );
    let finished = |reason: &str| {
        read(
            Provider::Gemini,
            json!({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": reason}]}),
        )
    };
    for reason in [
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
    ] {
        assert_eq!(
            finished(reason).unwrap().finish,
            Finish::ContentFilter,
            "{reason}"
        );
    }
    assert_eq!(finished("MAX_TOKENS").unwrap().finish, Finish::Length);
    for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"] {
        assert_eq!(
            finished(reason).unwrap_err().class,
            Class::Fault,
            "{reason}"
        );
    }
}

#[test]
fn ollama() {
    let found = read(Provider::Local, json!({
        "model": "m", "created_at": "2026-11-26T00:00:00Z", "done": true, "done_reason": "stop", "eval_count": 5,
        "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"index": 0, "name": "look", "arguments": {"at": 1}}}]},
    })).unwrap();
    assert_eq!(found.tool_calls, [call("call_0", "{\"at\":1}")]);
    assert_eq!(
        (found.finish, found.usage),
        (Finish::ToolCalls, usage(0, None, 5, None))
    );
    let cut = read(
        Provider::Local,
        json!({"message": {"content": "x"}, "done": true, "done_reason": "length"}),
    );
    assert_eq!(cut.unwrap().finish, Finish::Length);
}

#[test]
fn what_is_no_answer() {
    for provider in Provider::ALL {
        for body in [
            json!({}),
            json!([]),
            json!("x"),
            json!(null),
            json!({"choices": []}),
            json!({"content": 5}),
            json!({"done": false}),
        ] {
            let failure = read(provider, body.clone()).unwrap_err();
            assert_eq!(failure.class, Class::Fault, "{provider} {body}");
        }
        let good = json!({
            "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
            "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn",
            "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}],
            "message": {"content": "x"}, "done": true,
        })
        .to_string();
        let read = |kind: &str, body: &[u8]| {
            answer(provider, &head(200, &[("content-type", kind)]), body, NOW)
        };
        assert_eq!(
            read("application/json", good.as_bytes()).unwrap().content,
            "x"
        );
        assert_eq!(
            read("text/html", good.as_bytes()).unwrap_err().code,
            code::INVALID_ANSWER
        );
        let html = b"<!doctype html><html>502</html>";
        assert_eq!(
            read("application/json", html).unwrap_err().code,
            code::INVALID_ANSWER
        );
        assert_eq!(
            read("application/json", b"{\"choices\": [\xff")
                .unwrap_err()
                .code,
            code::INVALID_ANSWER
        );
        let huge = vec![b' '; MAX_ANSWER_BYTES + 1];
        assert_eq!(
            read("application/json", &huge).unwrap_err().code,
            code::TOO_LARGE
        );
        let nested = "[".repeat(100_000);
        assert_eq!(
            read("application/json", nested.as_bytes())
                .unwrap_err()
                .code,
            code::INVALID_ANSWER
        );
        assert!(answer(provider, &head(302, &[]), good.as_bytes(), NOW).is_err());
    }
}

#[test]
fn more_tokens_than_there_can_be_are_no_count() {
    for (most, counts) in [
        (100_000_000_u64, true),
        (100_000_001, false),
        (u64::MAX, false),
    ] {
        let usage = |provider, value: Value| {
            let head = head(200, &[("content-type", "application/json")]);
            answer(provider, &head, value.to_string().as_bytes(), NOW)
                .unwrap()
                .usage
        };
        let found = usage(
            Provider::OpenAi,
            json!({
                "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": most, "completion_tokens": 1},
            }),
        );
        assert_eq!(found.is_some(), counts, "{most}");
        let found = usage(
            Provider::Gemini,
            json!({
                "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": most},
            }),
        );
        assert_eq!(found.is_some(), counts, "{most}");
        let found = usage(
            Provider::Local,
            json!({
                "message": {"content": "x"}, "done": true, "eval_count": most,
            }),
        );
        assert_eq!(found.is_some(), counts, "{most}");
    }
}
