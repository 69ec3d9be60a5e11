//! Ollama.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::collect::Collected;
use super::{Target, arguments_object, count_or_none, in_words, quirks, refused};
use crate::ai::chat::{ChatRequest, Finish, Format, Message, Role, ToolChoice, ToolMode, Usage};
use crate::ai::failure::Failure;

pub(super) fn request(
    target: &Target<'_>,
    asked: &ChatRequest,
    stream: bool,
) -> (String, &'static str, Value) {
    let mut options = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(name.to_owned(), value);
        }
    };
    set("temperature", asked.how.temperature.map(|it| json!(it)));
    set("top_p", asked.how.top_p.map(|it| json!(it)));
    set("num_predict", target.max_tokens(asked).map(|it| json!(it)));
    set("seed", asked.how.seed.map(|it| json!(it)));
    set(
        "stop",
        (!asked.how.stop.is_empty()).then(|| json!(asked.how.stop)),
    );
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(target.model));
    // It streams unless it is told not to.
    body.insert("stream".to_owned(), json!(stream));
    if !options.is_empty() {
        body.insert("options".to_owned(), Value::Object(options));
    }
    let mut messages = Vec::new();
    let mut say = |text: String| messages.push(json!({ "role": "system", "content": text }));
    match asked.how.format() {
        Format::Text => {}
        Format::Schema { json_schema } if quirks::takes_schema(target) => {
            body.insert("format".to_owned(), json_schema.schema.clone());
        }
        format => {
            body.insert("format".to_owned(), json!("json"));
            in_words(format).map(&mut say);
        }
    }
    // There is no choice to be set: what may not be called is left out, what must be is asked for.
    let tools: Vec<_> = match &asked.how.tool_choice {
        Some(ToolChoice::Mode(ToolMode::None)) => Vec::new(),
        Some(ToolChoice::Named { function, .. }) => {
            say(format!("You must call the tool {}.", function.name));
            asked
                .how
                .tools
                .iter()
                .filter(|it| it.function.name == function.name)
                .collect()
        }
        choice => {
            if *choice == Some(ToolChoice::Mode(ToolMode::Required)) {
                say("You must call a tool.".to_owned());
            }
            asked.how.tools.iter().collect()
        }
    };
    if !tools.is_empty() {
        body.insert("tools".to_owned(), json!(tools));
    }
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for it in &asked.messages {
        names.extend(
            it.tool_calls
                .iter()
                .map(|call| (call.id.as_str(), call.function.name.as_str())),
        );
        messages.push(message(it, &names));
    }
    body.insert("messages".to_owned(), Value::Array(messages));
    ("/api/chat".to_owned(), "authorization", Value::Object(body))
}

fn message(message: &Message, names: &BTreeMap<&str, &str>) -> Value {
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut content = message.content.to_text();
    if let (true, Some(refusal)) = (content.is_empty(), &message.refusal) {
        content.clone_from(refusal);
    }
    let mut out = json!({ "role": role, "content": content });
    let images: Vec<&str> = message
        .content
        .images()
        .filter_map(|it| Some(it.data()?.1))
        .collect();
    if !images.is_empty() {
        out["images"] = json!(images);
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().enumerate().map(|(index, call)| {
            json!({ "id": call.id, "function": {
                "index": index,
                "name": call.function.name,
                "arguments": arguments_object(&call.function.arguments),
            }})
        });
        out["tool_calls"] = calls.collect();
    }
    if let Some(id) = &message.tool_call_id {
        out["tool_call_id"] = json!(id);
        out["tool_name"] = json!(names.get(id.as_str()).copied().unwrap_or_default());
    }
    out
}

/// A whole answer, or a line of a stream: they look the same.
pub(super) fn chunk(found: &mut Collected, value: &Value, now_ms: i64) -> Result<(), Failure> {
    if !value["error"].is_null() {
        return Err(refused::inside(found.provider, value, now_ms));
    }
    let message = &value["message"];
    if !message.is_object() && value["done"] != true {
        return Err(Failure::invalid_answer());
    }
    if let Some(text) = message["content"].as_str() {
        found.text(text)?;
    }
    for call in message["tool_calls"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
    {
        let function = &call["function"];
        let arguments = match &function["arguments"] {
            Value::Object(arguments) => Value::Object(arguments.clone()).to_string(),
            _ => "{}".to_owned(),
        };
        found.call(
            call["id"].as_str(),
            function["name"].as_str().unwrap_or_default(),
            &arguments,
        )?;
    }
    if value["done"] == true {
        let [input, output] =
            ["prompt_eval_count", "eval_count"].map(|it| count_or_none(&value[it]));
        if let (Some(input), Some(output)) = (input, output) {
            found.used(Usage {
                input,
                cached: None,
                output,
                reasoning: None,
            });
        }
        found.finished(match value["done_reason"].as_str() {
            Some("length") => Finish::Length,
            _ => Finish::Stop,
        });
    }
    Ok(())
}
