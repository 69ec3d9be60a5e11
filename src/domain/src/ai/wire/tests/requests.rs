//! What each provider is sent, field by field.

mod formats;

use super::*;
use crate::ai::chat::{ChatRequest, Replay};
use serde_json::json;

fn target(provider: Provider, model: &str) -> Target<'_> {
    Target {
        provider,
        base_url: "https://there.example/v1",
        secret: "the-key",
        model,
        max_output: Some(1_000),
        json_schema: None,
    }
}

fn asked(value: Value) -> ChatRequest {
    let request: ChatRequest = serde_json::from_value(value).unwrap();
    assert_eq!(request.validate(false), Ok(()));
    request
}

fn sent(provider: Provider, model: &str, value: Value, stream: bool) -> Value {
    let sent = request(&target(provider, model), &asked(value), stream).unwrap();
    serde_json::from_str(&sent.body).unwrap()
}

fn hello() -> Value {
    json!({
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": "Hello", "name": "ana"},
        ],
        "temperature": 1.5, "top_p": 0.9, "max_tokens": 5_000, "stop": ["END"], "seed": 7,
    })
}

fn with(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        unreachable!()
    };
    value.as_object_mut().unwrap().extend(more);
    value
}

fn tools() -> Value {
    json!({
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "Looking.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"Lima\"}"}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "nonsense"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "{\"sun\":true}"},
            {"role": "tool", "tool_call_id": "c2", "content": "rain"},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}],
        "tool_choice": "required",
        "parallel_tool_calls": false,
    })
}

#[test]
fn where_to_and_with_what_key() {
    let of = |provider, stream| {
        let sent = request(&target(provider, "a/b c"), &asked(hello()), stream).unwrap();
        assert!(!format!("{sent:?}").contains("the-key") && !format!("{sent:?}").contains("Hello"));
        (sent.url, sent.headers)
    };
    let json = ("content-type", "application/json".to_owned());
    let bearer = ("authorization", "Bearer the-key".to_owned());
    for provider in [Provider::OpenAi, Provider::Groq, Provider::DeepSeek] {
        let (url, headers) = of(provider, true);
        assert_eq!(url, "https://there.example/v1/chat/completions");
        assert_eq!(headers, [json.clone(), bearer.clone()]);
    }
    let (url, headers) = of(Provider::Anthropic, false);
    assert_eq!(url, "https://there.example/v1/messages");
    let version = ("anthropic-version", "2023-06-01".to_owned());
    assert_eq!(
        headers,
        [json.clone(), ("x-api-key", "the-key".to_owned()), version]
    );
    let (url, headers) = of(Provider::Gemini, false);
    assert_eq!(
        url,
        "https://there.example/v1/models/a%2Fb%20c:generateContent"
    );
    assert_eq!(
        headers,
        [json.clone(), ("x-goog-api-key", "the-key".to_owned())]
    );
    let (url, _) = of(Provider::Gemini, true);
    assert_eq!(
        url,
        "https://there.example/v1/models/a%2Fb%20c:streamGenerateContent?alt=sse"
    );
    assert_eq!(
        of(Provider::Local, true).0,
        "https://there.example/v1/api/chat"
    );
    let keyless = Target {
        secret: "",
        ..target(Provider::Local, "m")
    };
    assert_eq!(
        request(&keyless, &asked(hello()), false).unwrap().headers,
        [json]
    );
}

#[test]
fn openai() {
    assert_eq!(
        sent(Provider::OpenAi, "gpt-4o", hello(), true),
        json!({
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "developer", "content": "Be short."},
                {"role": "user", "content": "Hello", "name": "ana"},
            ],
            "temperature": 1.5, "top_p": 0.9, "max_completion_tokens": 1_000, "stop": ["END"], "seed": 7,
            "stream": true, "stream_options": {"include_usage": true},
        })
    );
    let thinking = sent(Provider::OpenAi, "gpt-5.4-mini", hello(), false);
    assert!(thinking.get("temperature").is_none() && thinking.get("top_p").is_none());
    assert!(thinking.get("stream").is_none() && thinking.get("stream_options").is_none());
    let still = with(hello(), json!({"reasoning_effort": "none"}));
    let still = sent(Provider::OpenAi, "gpt-5.4-mini", still, false);
    assert_eq!(still["temperature"], 1.5);
    let body = sent(Provider::OpenAi, "gpt-6-luna", tools(), false);
    assert_eq!(body["reasoning_effort"], "none");
    assert_eq!(body["tools"], tools()["tools"]);
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(body["parallel_tool_calls"], false);
    assert_eq!(
        body["messages"][1]["tool_calls"],
        tools()["messages"][1]["tool_calls"]
    );
    assert_eq!(body["messages"][2], tools()["messages"][2]);
}

#[test]
fn groq_and_deepseek() {
    let groq = sent(Provider::Groq, "openai/gpt-oss-20b", hello(), true);
    assert_eq!(
        groq["messages"][2],
        json!({"role": "user", "content": "Hello"})
    );
    assert_eq!(groq["messages"][1]["role"], "system");
    assert!(groq.get("stream_options").is_none());
    assert_eq!(groq["max_completion_tokens"], 1_000);
    let deepseek = sent(Provider::DeepSeek, "deepseek-flash", hello(), true);
    assert_eq!(deepseek["max_tokens"], 1_000);
    assert!(deepseek.get("thinking").is_none());
    assert_eq!(deepseek["stream_options"], json!({"include_usage": true}));
    // A forced choice, and calls whose thoughts are lost.
    let body = sent(Provider::DeepSeek, "deepseek-flash", tools(), false);
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    let mut thought = asked(with(tools(), json!({"tool_choice": "auto"})));
    thought.messages[1].replay = Some(Replay::DeepSeek {
        reasoning_content: "hm".into(),
    });
    let body = request(
        &target(Provider::DeepSeek, "deepseek-flash"),
        &thought,
        false,
    )
    .unwrap();
    let body: Value = serde_json::from_str(&body.body).unwrap();
    assert!(body.get("thinking").is_none());
    assert_eq!(body["messages"][1]["reasoning_content"], "hm");
    let other = request(&target(Provider::Groq, "m"), &thought, false).unwrap();
    assert!(!other.body.contains("hm"));
}

#[test]
fn anthropic() {
    assert_eq!(
        sent(Provider::Anthropic, "claude-sonnet-4-6", hello(), true),
        json!({
            "model": "claude-sonnet-4-6", "max_tokens": 1_000, "system": "Be kind.\n\nBe short.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
            "temperature": 1.0, "stop_sequences": ["END"], "stream": true,
        })
    );
    let plain = json!({"messages": [{"role": "user", "content": "x"}], "temperature": 0.5});
    let modern = sent(Provider::Anthropic, "claude-opus-5-5", plain.clone(), false);
    assert!(modern.get("temperature").is_none());
    assert_eq!(modern["max_tokens"], 1_000);
    let unknown = Target {
        max_output: None,
        ..target(Provider::Anthropic, "m")
    };
    assert!(
        request(&unknown, &asked(plain), false)
            .unwrap()
            .body
            .contains("\"max_tokens\":8192")
    );
    let body = sent(Provider::Anthropic, "claude-sonnet-5-5", tools(), false);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "Lima"}},
                {"type": "tool_use", "id": "c2", "name": "look", "input": {"arguments": "nonsense"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "{\"sun\":true}"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "rain"},
                {"type": "text", "text": "And now?"},
            ]},
        ])
    );
    assert_eq!(
        body["tools"],
        json!([{"name": "look", "description": "Looks.", "input_schema": tools()["tools"][0]["function"]["parameters"]}])
    );
    assert_eq!(
        body["tool_choice"],
        json!({"type": "any", "disable_parallel_tool_use": true})
    );
    let opus = sent(Provider::Anthropic, "claude-opus-5-5", tools(), false);
    assert_eq!(
        opus["tool_choice"],
        json!({"type": "auto", "disable_parallel_tool_use": true})
    );
    assert_eq!(opus["system"], "You must call a tool.");
}

#[test]
fn gemini() {
    assert_eq!(
        sent(Provider::Gemini, "gemini-3.8-flash", hello(), false),
        json!({
            "systemInstruction": {"parts": [{"text": "Be kind."}, {"text": "Be short."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "generationConfig": {"temperature": 1.5, "topP": 0.9, "maxOutputTokens": 1_000, "seed": 7,
                "stopSequences": ["END"]},
        })
    );
    let body = sent(Provider::Gemini, "gemini-3.8-flash", tools(), false);
    assert_eq!(
        body["contents"],
        json!([
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [
                {"text": "Looking."},
                {"functionCall": {"id": "c1", "name": "look", "args": {"at": "Lima"}},
                    "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "c2", "name": "look", "args": {"arguments": "nonsense"}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "look", "response": {"sun": true}}},
                {"functionResponse": {"id": "c2", "name": "look", "response": {"result": "rain"}}},
                {"text": "And now?"},
            ]},
        ])
    );
    assert_eq!(
        body["tools"],
        json!([{"functionDeclarations": [{"name": "look", "description": "Looks.",
            "parametersJsonSchema": tools()["tools"][0]["function"]["parameters"]}]}])
    );
    assert_eq!(
        body["toolConfig"],
        json!({"functionCallingConfig": {"mode": "ANY"}})
    );
    let mut signed = asked(tools());
    let signatures = [("c2".to_owned(), "s".to_owned())].into();
    signed.messages[1].replay = Some(Replay::Gemini { signatures });
    let body = request(&target(Provider::Gemini, "gemini-4-argon"), &signed, false)
        .unwrap()
        .body;
    assert!(body.contains("\"thoughtSignature\":\"s\"") && !body.contains("skip_thought"));
    let old = sent(Provider::Gemini, "gemini-2.5-pro", tools(), false).to_string();
    assert!(!old.contains("thoughtSignature"));
}

#[test]
fn ollama() {
    assert_eq!(
        sent(Provider::Local, "qwen3", hello(), false),
        json!({
            "model": "qwen3", "stream": false,
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "Hello"},
            ],
            "options": {"temperature": 1.5, "top_p": 0.9, "num_predict": 1_000, "seed": 7, "stop": ["END"]},
        })
    );
    let body = sent(Provider::Local, "qwen3", tools(), true);
    assert_eq!(body["stream"], true);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "You must call a tool."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "Looking.", "tool_calls": [
                {"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"at": "Lima"}}},
                {"id": "c2", "function": {"index": 1, "name": "look", "arguments": {"arguments": "nonsense"}}},
            ]},
            {"role": "tool", "content": "{\"sun\":true}", "tool_call_id": "c1", "tool_name": "look"},
            {"role": "tool", "content": "rain", "tool_call_id": "c2", "tool_name": "look"},
            {"role": "user", "content": "And now?"},
        ])
    );
    assert_eq!(body["tools"], tools()["tools"]);
    assert!(body.get("tool_choice").is_none());
    let none = with(tools(), json!({"tool_choice": "none"}));
    assert!(
        sent(Provider::Local, "qwen3", none, true)
            .get("tools")
            .is_none()
    );
}

#[test]
fn named_choices() {
    let named = with(
        tools(),
        json!({"tool_choice": {"type": "function", "function": {"name": "look"}}, "parallel_tool_calls": true}),
    );
    let of = |provider, model| sent(provider, model, named.clone(), false);
    assert_eq!(of(Provider::Groq, "m")["tool_choice"], named["tool_choice"]);
    assert_eq!(
        of(Provider::Anthropic, "claude-sonnet-5-5")["tool_choice"],
        json!({"type": "tool", "name": "look"})
    );
    assert_eq!(
        of(Provider::Gemini, "gemini-4-argon")["toolConfig"]["functionCallingConfig"],
        json!({"mode": "ANY", "allowedFunctionNames": ["look"]})
    );
    let local = of(Provider::Local, "m");
    assert_eq!(
        local["messages"][0]["content"],
        "You must call the tool look."
    );
    let opus = of(Provider::Anthropic, "claude-opus-5-5");
    assert_eq!(opus["tool_choice"], json!({"type": "auto"}));
    assert_eq!(opus["system"], "You must call the tool look.");
}
