//! Anthropic.

use serde_json::{Map, Value, json};

use super::collect::Collected;
use super::{Target, arguments_object, count, in_words, quirks, refused};
use crate::ai::chat::{
    ChatRequest, Content, Finish, Format, ImageUrl, Message, Part, Replay, Role, ToolChoice,
    ToolMode, Usage,
};
use crate::ai::failure::Failure;

/// What is asked for where neither the caller nor the catalogue says: the field is required.
const MAX_TOKENS: u32 = 8_192;

pub(super) fn request(
    target: &Target<'_>,
    asked: &ChatRequest,
    stream: bool,
) -> (String, &'static str, Value) {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    put("model", json!(target.model));
    let most = target
        .max_tokens(asked)
        .or(target.max_output)
        .unwrap_or(MAX_TOKENS);
    put("max_tokens", json!(most));
    let rules = asked.messages.iter().filter(|it| it.role.is_system());
    let mut system: Vec<String> = rules.map(|it| it.content.to_text()).collect();
    match asked.how.format() {
        Format::Schema { json_schema } if quirks::takes_schema(target) => put(
            "output_config",
            json!({ "format": { "type": "json_schema", "schema": json_schema.schema } }),
        ),
        // There is no mode without a schema.
        format => system.extend(in_words(format)),
    }
    if !asked.how.tools.is_empty() {
        put(
            "tools",
            Value::Array(
                asked
                    .how
                    .tools
                    .iter()
                    .map(|it| tool(&it.function))
                    .collect(),
            ),
        );
        let (choice, instruction) = choice(target, asked);
        if let Some(choice) = choice {
            put("tool_choice", choice);
        }
        system.extend(instruction);
    }
    system.retain(|it| !it.trim().is_empty());
    if !system.is_empty() {
        put("system", json!(system.join("\n\n")));
    }
    put("messages", Value::Array(messages(&asked.messages)));
    if quirks::takes_sampling(target, None) {
        // Of the two it takes one.
        match (
            asked.how.temperature,
            asked.how.top_p.filter(|it| *it < 1.0),
        ) {
            (Some(temperature), _) => put("temperature", json!(temperature.min(1.0))),
            (None, Some(top_p)) => put("top_p", json!(top_p)),
            (None, None) => {}
        }
    }
    if !asked.how.stop.is_empty() {
        put("stop_sequences", json!(asked.how.stop));
    }
    if stream {
        put("stream", json!(true));
    }
    ("/messages".to_owned(), "x-api-key", Value::Object(body))
}

fn tool(function: &crate::ai::chat::ToolFunction) -> Value {
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(function.name));
    if let Some(description) = &function.description {
        out.insert("description".to_owned(), json!(description));
    }
    let nothing = || json!({ "type": "object", "properties": {} });
    let schema = function.parameters.clone().unwrap_or_else(nothing);
    out.insert("input_schema".to_owned(), schema);
    if let Some(strict) = function.strict {
        out.insert("strict".to_owned(), json!(strict));
    }
    Value::Object(out)
}

/// The choice as a field, and in words where the model cannot be forced.
fn choice(target: &Target<'_>, asked: &ChatRequest) -> (Option<Value>, Option<String>) {
    let can = quirks::takes_forced_tools(target.model);
    let (mut field, words) = match &asked.how.tool_choice {
        Some(ToolChoice::Mode(ToolMode::None)) => (json!({ "type": "none" }), None),
        Some(ToolChoice::Mode(ToolMode::Required)) if can => (json!({ "type": "any" }), None),
        Some(ToolChoice::Named { function, .. }) if can => {
            (json!({ "type": "tool", "name": function.name }), None)
        }
        Some(ToolChoice::Mode(ToolMode::Required)) => (
            json!({ "type": "auto" }),
            Some("You must call a tool.".to_owned()),
        ),
        Some(ToolChoice::Named { function, .. }) => {
            let words = format!("You must call the tool {}.", function.name);
            (json!({ "type": "auto" }), Some(words))
        }
        Some(ToolChoice::Mode(ToolMode::Auto)) => (json!({ "type": "auto" }), None),
        None if asked.how.parallel_tool_calls == Some(false) => (json!({ "type": "auto" }), None),
        None => return (None, None),
    };
    if asked.how.parallel_tool_calls == Some(false) && field["type"] != "none" {
        field["disable_parallel_tool_use"] = json!(true);
    }
    (Some(field), words)
}

/// Messages in turns: all results of a message's calls are one message of the user's.
fn messages(asked: &[Message]) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in asked.iter().filter(|it| !it.role.is_system()) {
        let role = match message.role {
            Role::Assistant => "assistant",
            _ => "user",
        };
        let blocks = match message.role {
            Role::Tool => vec![json!({
                "type": "tool_result",
                "tool_use_id": message.tool_call_id,
                "content": message.content.to_text(),
            })],
            _ => blocks(message),
        };
        match turns.last_mut() {
            Some((last, content)) if *last == role => content.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let turn = |(role, content): (&str, Vec<Value>)| json!({ "role": role, "content": content });
    turns
        .into_iter()
        .filter(|(_, content)| !content.is_empty())
        .map(turn)
        .collect()
}

fn blocks(message: &Message) -> Vec<Value> {
    let mut out = match &message.replay {
        Some(Replay::Anthropic { thinking }) => thinking.clone(),
        _ => Vec::new(),
    };
    let text = |text: &str| json!({ "type": "text", "text": text });
    match &message.content {
        Content::None => out.extend(message.refusal.as_deref().map(text)),
        Content::Text(it) if it.is_empty() => {}
        Content::Text(it) => out.push(text(it)),
        Content::Parts(parts) => out.extend(parts.iter().map(|part| match part {
            Part::Text { text: it } | Part::Refusal { refusal: it } => text(it),
            Part::ImageUrl { image_url } => image(image_url),
        })),
    }
    out.extend(message.tool_calls.iter().map(|call| {
        json!({
            "type": "tool_use",
            "id": call.id,
            "name": call.function.name,
            "input": arguments_object(&call.function.arguments),
        })
    }));
    out
}

fn image(image: &ImageUrl) -> Value {
    let source = match image.data() {
        Some((media_type, data)) => {
            json!({ "type": "base64", "media_type": media_type, "data": data })
        }
        None => json!({ "type": "url", "url": image.url }),
    };
    json!({ "type": "image", "source": source })
}

/// A whole answer.
pub(super) fn whole(found: &mut Collected, value: &Value, now_ms: i64) -> Result<(), Failure> {
    if value["type"] == "error" {
        return Err(refused::inside(found.provider, value, now_ms));
    }
    let content = value["content"]
        .as_array()
        .ok_or_else(Failure::invalid_answer)?;
    found.id(value["id"].as_str());
    let mut thinking = Vec::new();
    for block in content {
        match block["type"].as_str() {
            Some("text") => found.text(block["text"].as_str().unwrap_or_default())?,
            Some("tool_use") => {
                let input = match &block["input"] {
                    Value::Object(input) => Value::Object(input.clone()).to_string(),
                    _ => "{}".to_owned(),
                };
                found.call(
                    block["id"].as_str(),
                    block["name"].as_str().unwrap_or_default(),
                    &input,
                )?;
            }
            Some("thinking" | "redacted_thinking") => thinking.push(block.clone()),
            _ => {}
        }
    }
    keep(found, thinking);
    stopped(found, &value["stop_reason"]);
    if let Some(usage) = Counted::default().and(&value["usage"]).usage() {
        found.used(usage);
    }
    Ok(())
}

fn keep(found: &mut Collected, thinking: Vec<Value>) {
    if !thinking.is_empty() {
        found.replay = Some(Replay::Anthropic { thinking });
    }
}

fn stopped(found: &mut Collected, reason: &Value) {
    if let Some(reason) = reason.as_str() {
        found.finished(match reason {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "tool_use" => Finish::ToolCalls,
            "refusal" => Finish::ContentFilter,
            _ => Finish::Stop,
        });
    }
}

/// What it counts, which comes in several events: a later number stands for the earlier one.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    fresh: Option<u64>,
    read: Option<u64>,
    created: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Counted {
    fn and(self, usage: &Value) -> Self {
        Self {
            fresh: count(&usage["input_tokens"]).or(self.fresh),
            read: count(&usage["cache_read_input_tokens"]).or(self.read),
            created: count(&usage["cache_creation_input_tokens"]).or(self.created),
            output: count(&usage["output_tokens"]).or(self.output),
            thinking: count(&usage["output_tokens_details"]["thinking_tokens"]).or(self.thinking),
        }
    }

    fn usage(self) -> Option<Usage> {
        let parts = [
            self.fresh?,
            self.read.unwrap_or(0),
            self.created.unwrap_or(0),
        ];
        Some(Usage {
            input: parts.into_iter().fold(0, u64::saturating_add),
            cached: self.read,
            output: self.output?,
            reasoning: self.thinking,
        })
    }
}

/// The blocks of a stream.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Which call the open block is, if it is one.
    call: Option<usize>,
    /// The open block of thinking.
    thought: Option<Map<String, Value>>,
    thoughts: Vec<Value>,
    counted: Counted,
}

/// An event of a stream; whether it was the last one.
pub(super) fn event(
    found: &mut Collected,
    blocks: &mut Blocks,
    value: &Value,
    now_ms: i64,
) -> Result<bool, Failure> {
    match value["type"].as_str() {
        Some("message_start") => {
            found.id(value["message"]["id"].as_str());
            counted(found, blocks, &value["message"]["usage"]);
        }
        Some("content_block_start") => start(found, blocks, &value["content_block"])?,
        Some("content_block_delta") => delta(found, blocks, &value["delta"])?,
        Some("content_block_stop") => stop(found, blocks)?,
        Some("message_delta") => {
            // Before the reason: nothing need follow it.
            counted(found, blocks, &value["usage"]);
            keep(found, std::mem::take(&mut blocks.thoughts));
            stopped(found, &value["delta"]["stop_reason"]);
        }
        Some("message_stop") => return Ok(true),
        Some("error") => return Err(refused::inside(found.provider, value, now_ms)),
        // Pings, and whatever comes later.
        Some(_) => {}
        None => return Err(Failure::invalid_answer()),
    }
    Ok(false)
}

fn counted(found: &mut Collected, blocks: &mut Blocks, usage: &Value) {
    blocks.counted = blocks.counted.and(usage);
    if let Some(usage) = blocks.counted.usage() {
        found.used(usage);
    }
}

fn start(found: &mut Collected, blocks: &mut Blocks, block: &Value) -> Result<(), Failure> {
    blocks.call = None;
    blocks.thought = None;
    match block["type"].as_str() {
        Some("text") => found.text(block["text"].as_str().unwrap_or_default()),
        Some("tool_use") => {
            let name = block["name"].as_str().unwrap_or_default();
            found.call(block["id"].as_str(), name, "")?;
            blocks.call = Some(found.calls() - 1);
            Ok(())
        }
        Some("thinking" | "redacted_thinking") => {
            found.grow(block.to_string().len())?;
            blocks.thought = block.as_object().cloned();
            Ok(())
        }
        _ => Ok(()),
    }
}

fn delta(found: &mut Collected, blocks: &mut Blocks, delta: &Value) -> Result<(), Failure> {
    let text = |name: &str| delta[name].as_str().unwrap_or_default();
    match delta["type"].as_str() {
        Some("text_delta") => found.text(text("text")),
        Some("input_json_delta") => match blocks.call {
            Some(index) => found.arguments(index, text("partial_json")),
            None => Ok(()),
        },
        Some("thinking_delta") => {
            found.wrote(text("thinking"))?;
            think(blocks, "thinking", text("thinking"));
            Ok(())
        }
        Some("signature_delta") => {
            found.grow(text("signature").len())?;
            think(blocks, "signature", text("signature"));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn think(blocks: &mut Blocks, name: &str, more: &str) {
    if let Some(thought) = &mut blocks.thought {
        match thought.get_mut(name) {
            Some(Value::String(text)) => text.push_str(more),
            _ => {
                thought.insert(name.to_owned(), json!(more));
            }
        }
    }
}

fn stop(found: &mut Collected, blocks: &mut Blocks) -> Result<(), Failure> {
    blocks
        .thoughts
        .extend(blocks.thought.take().map(Value::Object));
    match blocks.call.take() {
        // No fragment is no argument.
        Some(index) if !found.has_arguments(index) => found.arguments(index, "{}"),
        _ => Ok(()),
    }
}
