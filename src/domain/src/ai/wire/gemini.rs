//! Gemini.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::collect::Collected;
use super::{Target, arguments_object, count_or_none, in_words, quirks, refused};
use crate::ai::chat::{
    ChatRequest, Content, Finish, Format, Message, Part, Replay, Role, ToolChoice, ToolMode, Usage,
};
use crate::ai::failure::{Class, Failure, code};

/// Stands for the signature of a thought that another provider, or nobody, had.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

pub(super) fn request(
    target: &Target<'_>,
    asked: &ChatRequest,
    stream: bool,
) -> (String, &'static str, Value) {
    let mut body = Map::new();
    let modern = quirks::is_gemini_3(target.model);
    let mut config = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    set("temperature", asked.how.temperature.map(|it| json!(it)));
    set("topP", asked.how.top_p.map(|it| json!(it)));
    set(
        "maxOutputTokens",
        target.max_tokens(asked).map(|it| json!(it)),
    );
    set("seed", asked.how.seed.map(|it| json!(it)));
    set(
        "stopSequences",
        (!asked.how.stop.is_empty()).then(|| json!(asked.how.stop)),
    );
    let rules = asked.messages.iter().filter(|it| it.role.is_system());
    let mut system: Vec<String> = rules.map(|it| it.content.to_text()).collect();
    // Up to 2.5 it takes either functions or JSON.
    match (asked.how.format(), modern || asked.how.tools.is_empty()) {
        (Format::Text, _) => {}
        (Format::Schema { json_schema }, true) if quirks::takes_schema(target) => {
            set("responseMimeType", Some(json!("application/json")));
            set("responseJsonSchema", Some(json_schema.schema.clone()));
        }
        (format, together) => {
            set(
                "responseMimeType",
                together.then(|| json!("application/json")),
            );
            if !together || *format != Format::Json {
                system.extend(in_words(format));
            }
        }
    }
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    system.retain(|it| !it.is_empty());
    if !system.is_empty() {
        let parts: Vec<Value> = system.iter().map(|text| json!({ "text": text })).collect();
        body.insert("systemInstruction".to_owned(), json!({ "parts": parts }));
    }
    body.insert(
        "contents".to_owned(),
        Value::Array(contents(&asked.messages, modern)),
    );
    if !asked.how.tools.is_empty() {
        let functions: Vec<Value> = asked
            .how
            .tools
            .iter()
            .map(|it| function(&it.function))
            .collect();
        body.insert(
            "tools".to_owned(),
            json!([{ "functionDeclarations": functions }]),
        );
        if let Some(choice) = &asked.how.tool_choice {
            body.insert(
                "toolConfig".to_owned(),
                json!({ "functionCallingConfig": calling(choice) }),
            );
        }
    }
    let method = match stream {
        true => "streamGenerateContent?alt=sse",
        false => "generateContent",
    };
    let path = format!("/models/{}:{method}", escaped(target.model));
    (path, "x-goog-api-key", Value::Object(body))
}

/// A name as one segment of a path.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte.into())
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn function(function: &crate::ai::chat::ToolFunction) -> Value {
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(function.name));
    if let Some(description) = &function.description {
        out.insert("description".to_owned(), json!(description));
    }
    if let Some(parameters) = &function.parameters {
        out.insert("parametersJsonSchema".to_owned(), parameters.clone());
    }
    Value::Object(out)
}

fn calling(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Mode(ToolMode::Auto) => json!({ "mode": "AUTO" }),
        ToolChoice::Mode(ToolMode::None) => json!({ "mode": "NONE" }),
        ToolChoice::Mode(ToolMode::Required) => json!({ "mode": "ANY" }),
        ToolChoice::Named { function, .. } => {
            json!({ "mode": "ANY", "allowedFunctionNames": [function.name] })
        }
    }
}

/// Messages in turns of the user's and the model's.
fn contents(asked: &[Message], modern: bool) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    // Names of the functions by the ids of their calls: a result carries both.
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for message in asked.iter().filter(|it| !it.role.is_system()) {
        for call in &message.tool_calls {
            names.insert(&call.id, &call.function.name);
        }
        let (role, parts) = match message.role {
            Role::Assistant => ("model", said(message, modern)),
            Role::Tool => ("user", vec![result(message, &names)]),
            _ => ("user", parts(&message.content)),
        };
        match turns.last_mut() {
            Some((last, content)) if *last == role => content.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    let turn = |(role, parts): (&str, Vec<Value>)| json!({ "role": role, "parts": parts });
    turns
        .into_iter()
        .filter(|(_, parts)| !parts.is_empty())
        .map(turn)
        .collect()
}

fn result(message: &Message, names: &BTreeMap<&str, &str>) -> Value {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let text = message.content.to_text();
    let response = match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({ "result": text }),
    };
    let name = names.get(id).copied().unwrap_or_default();
    json!({ "functionResponse": { "id": id, "name": name, "response": response } })
}

fn parts(content: &Content) -> Vec<Value> {
    match content {
        Content::None => Vec::new(),
        Content::Text(text) if text.is_empty() => Vec::new(),
        Content::Text(text) => vec![json!({ "text": text })],
        Content::Parts(parts) => parts
            .iter()
            .filter_map(|part| match part {
                Part::Text { text } | Part::Refusal { refusal: text } => Some(json!({ "text": text })),
                Part::ImageUrl { image_url } => image_url.data().map(|(media_type, data)| {
                    json!({ "inlineData": { "mimeType": media_type, "data": data } })
                }),
            })
            .collect(),
    }
}

fn said(message: &Message, modern: bool) -> Vec<Value> {
    let mut out = parts(&message.content);
    if out.is_empty()
        && let Some(refusal) = &message.refusal
    {
        out.push(json!({ "text": refusal }));
    }
    let none = BTreeMap::new();
    let signatures = match &message.replay {
        Some(Replay::Gemini { signatures }) => signatures,
        _ => &none,
    };
    let unsigned = !message
        .tool_calls
        .iter()
        .any(|it| signatures.contains_key(&it.id));
    for (at, call) in message.tool_calls.iter().enumerate() {
        let mut part = json!({ "functionCall": {
            "id": call.id,
            "name": call.function.name,
            "args": arguments_object(&call.function.arguments),
        }});
        if let Some(signature) = signatures.get(&call.id) {
            part["thoughtSignature"] = json!(signature);
        } else if modern && unsigned && at == 0 {
            part["thoughtSignature"] = json!(NO_SIGNATURE);
        }
        out.push(part);
    }
    out
}

/// A whole answer, or a chunk of a stream: they look the same.
pub(super) fn chunk(found: &mut Collected, value: &Value, now_ms: i64) -> Result<(), Failure> {
    if !value["error"].is_null() {
        return Err(refused::inside(found.provider, value, now_ms));
    }
    let known = ["candidates", "promptFeedback", "usageMetadata"];
    if !known.iter().any(|name| !value[*name].is_null()) {
        return Err(Failure::invalid_answer());
    }
    found.id(value["responseId"].as_str());
    if let Some(usage) = read_usage(&value["usageMetadata"]) {
        found.used(usage);
    }
    let candidate = &value["candidates"][0];
    let parts = candidate["content"]["parts"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for part in parts {
        // What it thinks aloud is no answer.
        if let (Some(text), false) = (part["text"].as_str(), part["thought"] == true) {
            found.text(text)?;
        }
        let call = &part["functionCall"];
        if call.is_object() {
            let arguments = match &call["args"] {
                Value::Object(args) => Value::Object(args.clone()).to_string(),
                _ => "{}".to_owned(),
            };
            found.call(
                call["id"].as_str(),
                call["name"].as_str().unwrap_or_default(),
                &arguments,
            )?;
            sign(found, &part["thoughtSignature"])?;
        }
    }
    match (
        candidate["finishReason"].as_str(),
        &value["promptFeedback"]["blockReason"],
    ) {
        (Some(reason), _) => finish(found, reason),
        (None, Value::String(_)) if candidate.is_null() => {
            found.finished(Finish::ContentFilter);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Keeps the signature of the newest call.
fn sign(found: &mut Collected, signature: &Value) -> Result<(), Failure> {
    let (Some(signature), Some(id)) = (signature.as_str(), found.last_call_id()) else {
        return Ok(());
    };
    let (id, signature) = (id.to_owned(), signature.to_owned());
    found.grow(signature.len())?;
    match &mut found.replay {
        Some(Replay::Gemini { signatures }) => {
            signatures.insert(id, signature);
        }
        replay => {
            *replay = Some(Replay::Gemini {
                signatures: BTreeMap::from([(id, signature)]),
            });
        }
    }
    Ok(())
}

fn finish(found: &mut Collected, reason: &str) -> Result<(), Failure> {
    found.finished(match reason {
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => {
            Finish::ContentFilter
        }
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
            return Err(Failure::new(Class::Fault, code::BAD_TOOL_CALL));
        }
        "OTHER" => return Err(Failure::new(Class::Fault, code::PROVIDER_ERROR)),
        _ => Finish::Stop,
    });
    Ok(())
}

/// Numbers that are nothing are left out.
fn read_usage(usage: &Value) -> Option<Usage> {
    if !usage.is_object() {
        return None;
    }
    let number = |name: &str| count_or_none(&usage[name]);
    let thoughts = number("thoughtsTokenCount")?;
    Some(Usage {
        input: number("promptTokenCount")? + number("toolUsePromptTokenCount")?,
        cached: Some(number("cachedContentTokenCount")?),
        output: number("candidatesTokenCount")? + thoughts,
        reasoning: Some(thoughts),
    })
}
