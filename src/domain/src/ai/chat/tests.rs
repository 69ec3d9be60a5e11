use super::*;
use crate::ai::provider::Provider;
use serde_json::{Value, json};

fn read(value: Value) -> ChatRequest {
    serde_json::from_value(value).unwrap()
}

fn fields(value: Value) -> Vec<String> {
    match read(value).validate(false) {
        Ok(()) => Vec::new(),
        Err(problems) => problems.into_iter().map(|it| it.field).collect(),
    }
}

fn whole() -> Value {
    json!({
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"x\":1}"}},
                {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_2", "content": ""},
            {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
            {"role": "assistant", "content": "A cat.", "tool_calls": null, "refusal": null},
            {"role": "user", "content": "Sure?", "name": "ana"},
        ],
        "temperature": 0, "top_p": 1.0, "max_tokens": 10, "stop": ["END"], "seed": 7,
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "a", "schema": {"type": "object"}, "strict": true}},
        "tools": [{"type": "function", "function": {
            "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": true}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": true, "reasoning_effort": "none",
    })
}

#[test]
fn written_as_programs_write_it() {
    let request = read(whole());
    assert_eq!(request.validate(false), Ok(()));
    assert_eq!(request.messages[2].content, Content::None);
    let again = serde_json::to_value(&request).unwrap();
    assert_eq!(read(again), request);
    assert_eq!(request.messages[1].content.to_text(), "What is this?");
}

#[test]
fn each_mistake_names_its_field() {
    let with = |path: &str, value: Value| {
        let mut request = whole();
        *request.pointer_mut(path).unwrap() = value;
        fields(request)
    };
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": ""}});
    for (path, value, field) in [
        ("/messages", json!([]), "messages"),
        (
            "/messages",
            json!([{"role": "system", "content": "x"}]),
            "messages",
        ),
        ("/messages/0/content", json!(""), "messages[0].content"),
        ("/messages/0/content", json!(null), "messages[0].content"),
        ("/messages/1/content", json!([]), "messages[1].content"),
        (
            "/messages/1/role",
            json!("system"),
            "messages[1].content[1].type",
        ),
        (
            "/messages/1/content/0/text",
            json!(""),
            "messages[1].content[0].text",
        ),
        (
            "/messages/1/content/1/image_url/url",
            json!("http://example.com"),
            "messages[1].content[1].image_url.url",
        ),
        (
            "/messages/1/content/1/image_url/url",
            json!("data:image/svg+xml;base64,AA"),
            "messages[1].content[1].image_url.url",
        ),
        (
            "/messages/1/content/1/image_url/url",
            json!("data:image/png;base64,!"),
            "messages[1].content[1].image_url.url",
        ),
        (
            "/messages/2/tool_calls/1/id",
            json!("call_1"),
            "messages[2].tool_calls[1].id",
        ),
        (
            "/messages/2/tool_calls/0/function/name",
            json!("a b"),
            "messages[2].tool_calls[0].function.name",
        ),
        (
            "/messages/3/tool_call_id",
            json!("call_9"),
            "messages[3].tool_call_id",
        ),
        (
            "/messages/5/tool_calls",
            json!([call("x")]),
            "messages[5].tool_calls",
        ),
        ("/messages/6/name", json!("ana maria"), "messages[6].name"),
        ("/temperature", json!(-0.1), "temperature"),
        ("/temperature", json!(2.1), "temperature"),
        ("/top_p", json!(1.5), "top_p"),
        ("/max_tokens", json!(0), "max_tokens"),
        ("/stop", json!([""]), "stop"),
        ("/stop", json!(["1", "2", "3", "4", "5"]), "stop"),
        ("/reasoning_effort", json!("much"), "reasoning_effort"),
        (
            "/tools/0/function/name",
            json!("é"),
            "tools[0].function.name",
        ),
        (
            "/tools/0/function/parameters",
            json!([]),
            "tools[0].function.parameters",
        ),
        ("/tool_choice/function/name", json!("hear"), "tool_choice"),
        (
            "/response_format/json_schema/schema",
            json!(3),
            "response_format.json_schema.schema",
        ),
        (
            "/response_format/json_schema/name",
            json!(""),
            "response_format.json_schema.name",
        ),
    ] {
        let found = with(path, value.clone());
        assert!(
            found.iter().any(|it| it == field),
            "{path} {value}: {found:?}"
        );
    }
    let open = json!({"messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call("1")]}]});
    assert_eq!(fields(open), ["messages[1].tool_calls"]);
    let result = json!({"messages": [{"role": "user", "content": "x", "tool_call_id": "1"},
        {"role": "tool", "content": "y"}]});
    assert_eq!(
        fields(result),
        ["messages[0].tool_call_id", "messages[1].tool_call_id"]
    );
    assert_eq!(
        fields(json!({"messages": [{"role": "user", "content": "x"}], "tool_choice": "required"})),
        ["tool_choice"]
    );
}

#[test]
fn what_is_no_message_is_not_read() {
    for bad in [
        json!({"role": "robot", "content": "x"}),
        json!({"role": "user", "content": 5}),
        json!({"role": "user", "content": {"type": "text"}}),
        json!({"role": "user", "content": [{"type": "video_url"}]}),
        json!({"role": "user", "content": "x", "mood": "good"}),
        json!({"content": "x"}),
    ] {
        assert!(
            serde_json::from_value::<Message>(bad.clone()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn about_as_many_tokens() {
    let about = |text: &str, low: u64, high: u64| {
        let found = estimate_text(text);
        assert!((low..=high).contains(&found), "{text}: {found}");
    };
    about("The quick brown fox jumps over the lazy dog.", 9, 13);
    about("¿Dónde está la biblioteca más próxima?", 9, 14);
    about("敏捷的棕色狐狸跳过懒狗", 8, 14);
    about("{\"a\":[1,2,3]}", 5, 10);
    assert_eq!(estimate_text(""), 0);
    assert!(read(whole()).estimate_tokens() > 1_000);
}

#[test]
fn images_that_must_be_fetched() {
    let mut request = read(whole());
    assert_eq!(request.image_urls(Provider::OpenAi), Vec::<&str>::new());
    assert_eq!(
        request.image_urls(Provider::Gemini),
        ["https://example.com/a.png"]
    );
    request.inline_image("https://example.com/a.png", "image/png", "AAAA");
    assert!(request.image_urls(Provider::Gemini).is_empty());
    assert_eq!(request.validate(false), Ok(()));
}

#[test]
fn replays_are_kept_by_their_provider() {
    for replay in [
        Replay::DeepSeek {
            reasoning_content: "hm".into(),
        },
        Replay::Anthropic {
            thinking: vec![json!({"type": "thinking", "signature": "s"})],
        },
        Replay::Gemini {
            signatures: [("call".to_owned(), "sig".to_owned())].into(),
        },
    ] {
        let text = serde_json::to_string(&replay).unwrap();
        assert_eq!(serde_json::from_str::<Replay>(&text).unwrap(), replay);
    }
}
