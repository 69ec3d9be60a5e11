//! What shape the answer is to have, and images.

use super::*;

#[test]
fn json_formats() {
    let ask = |format: Value| json!({"messages": [{"role": "user", "content": "Who?"}], "response_format": format});
    let any = ask(json!({"type": "json_object"}));
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let held = ask(
        json!({"type": "json_schema", "json_schema": {"name": "who", "schema": schema, "strict": true}}),
    );
    let of = |provider, model, value: &Value, stream| sent(provider, model, value.clone(), stream);
    let object = json!({"type": "json_object"});
    // The word must be in the question.
    let body = of(Provider::OpenAi, "gpt-4o", &any, false);
    assert_eq!(body["response_format"], object);
    assert!(
        body["messages"][0]["content"]
            .as_str()
            .unwrap()
            .contains("JSON")
    );
    let said = json!({"messages": [{"role": "user", "content": "As Json, who?"}], "response_format": object});
    assert_eq!(
        of(Provider::DeepSeek, "m", &said, false)["messages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        of(Provider::OpenAi, "gpt-4o", &held, true)["response_format"],
        held["response_format"]
    );
    let groq = "openai/gpt-oss-120b";
    assert_eq!(
        of(Provider::Groq, groq, &held, false)["response_format"],
        held["response_format"]
    );
    for body in [
        of(Provider::Groq, groq, &held, true),
        of(Provider::Groq, "qwen/qwen3.6-27b", &held, false),
        of(Provider::DeepSeek, "deepseek-flash", &held, false),
    ] {
        assert_eq!(body["response_format"], object);
        assert!(
            body["messages"][0]["content"]
                .as_str()
                .unwrap()
                .contains("\"additionalProperties\":false")
        );
    }
    let body = of(Provider::Anthropic, "claude-haiku-5-5", &held, false);
    assert_eq!(
        body["output_config"],
        json!({"format": {"type": "json_schema", "schema": schema}})
    );
    let body = of(Provider::Anthropic, "claude-haiku-5-5", &any, false);
    assert!(
        body.get("output_config").is_none() && body["system"].as_str().unwrap().contains("JSON")
    );
    let body = of(Provider::Gemini, "gemini-2.5-pro", &held, false);
    assert_eq!(
        body["generationConfig"],
        json!({"responseMimeType": "application/json", "responseJsonSchema": schema})
    );
    let body = of(Provider::Gemini, "gemini-2.5-pro", &any, false);
    assert_eq!(
        body["generationConfig"],
        json!({"responseMimeType": "application/json"})
    );
    let both = with(held.clone(), json!({"tools": tools()["tools"]}));
    let old = of(Provider::Gemini, "gemini-2.5-pro", &both, false);
    assert!(
        old.get("generationConfig").is_none()
            && old["systemInstruction"].to_string().contains("JSON")
    );
    let new = of(Provider::Gemini, "gemini-3.8-flash", &both, false);
    assert_eq!(new["generationConfig"]["responseJsonSchema"], schema);
    assert_eq!(of(Provider::Local, "m", &held, false)["format"], schema);
    let body = of(Provider::Local, "m", &any, false);
    assert_eq!(body["format"], "json");
}

#[test]
fn images() {
    let png = "data:image/png;base64,iVBO";
    let ask = |url: &str| {
        json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]}]})
    };
    let there = "https://example.com/a.png";
    let content = |provider, url| sent(provider, "m-4", ask(url), false)["messages"][0].clone();
    for provider in [Provider::OpenAi, Provider::Groq, Provider::DeepSeek] {
        assert_eq!(content(provider, there), ask(there)["messages"][0]);
    }
    assert_eq!(
        content(Provider::Anthropic, there)["content"][1],
        json!({"type": "image", "source": {"type": "url", "url": there}})
    );
    assert_eq!(
        content(Provider::Anthropic, png)["content"][1],
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}})
    );
    assert_eq!(
        sent(Provider::Gemini, "m", ask(png), false)["contents"][0]["parts"][1],
        json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}})
    );
    assert_eq!(
        content(Provider::Local, png),
        json!({"role": "user", "content": "What?", "images": ["iVBO"]})
    );
    for provider in [Provider::Gemini, Provider::Local] {
        let refused = request(&target(provider, "m"), &asked(ask(there)), false).unwrap_err();
        assert_eq!(
            (refused.class, refused.code),
            (Class::Model, code::UNSUPPORTED)
        );
    }
}
