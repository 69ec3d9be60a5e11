//! OpenAI, Groq and DeepSeek.

use serde_json::{Map, Value, json};

use super::collect::Collected;
use super::{Target, count, in_words, quirks, refused};
use crate::ai::chat::{
    ChatRequest, Content, Finish, Format, MAX_TOOLS, Message, Part, Replay, Role, ToolChoice,
    ToolMode, Usage,
};
use crate::ai::failure::{Class, Failure, code};
use crate::ai::provider::Provider;

pub(super) fn request(
    target: &Target<'_>,
    asked: &ChatRequest,
    stream: bool,
) -> (String, &'static str, Value) {
    let provider = target.provider;
    let has_tools = !asked.how.tools.is_empty();
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    put("model", json!(target.model));
    let (format, instruction) = format(target, asked, stream);
    let mut messages: Vec<Value> = instruction
        .map(|text| json!({ "role": "system", "content": text }))
        .into_iter()
        .collect();
    messages.extend(asked.messages.iter().map(|it| message(provider, it)));
    put("messages", Value::Array(messages));
    if let Some(format) = format {
        put("response_format", format);
    }
    let effort = effort(target, asked);
    if quirks::takes_sampling(target, effort) {
        if let Some(temperature) = asked.how.temperature {
            put("temperature", json!(temperature));
        }
        if let Some(top_p) = asked.how.top_p {
            put("top_p", json!(top_p));
        }
    }
    if let Some(effort) = effort {
        put("reasoning_effort", json!(effort));
    }
    if let Some(most) = target.max_tokens(asked) {
        let name = match provider {
            Provider::DeepSeek => "max_tokens",
            _ => "max_completion_tokens",
        };
        put(name, json!(most));
    }
    if !asked.how.stop.is_empty() {
        put("stop", json!(asked.how.stop));
    }
    if let (Some(seed), true) = (asked.how.seed, provider != Provider::DeepSeek) {
        put("seed", json!(seed));
    }
    if has_tools {
        put("tools", json!(asked.how.tools));
        if let Some(choice) = &asked.how.tool_choice {
            put("tool_choice", json!(choice));
        }
        if let (Some(parallel), true) = (
            asked.how.parallel_tool_calls,
            provider != Provider::DeepSeek,
        ) {
            put("parallel_tool_calls", json!(parallel));
        }
    }
    if provider == Provider::DeepSeek && must_not_think(asked) {
        put("thinking", json!({ "type": "disabled" }));
    }
    if stream {
        put("stream", json!(true));
        // Groq tells what was used without being asked.
        if provider != Provider::Groq {
            put("stream_options", json!({ "include_usage": true }));
        }
    }
    (
        "/chat/completions".to_owned(),
        "authorization",
        Value::Object(body),
    )
}

/// How long to think, in the words of those that take it.
fn effort<'a>(target: &Target<'_>, asked: &'a ChatRequest) -> Option<&'a str> {
    let effort = asked.how.reasoning_effort.as_deref();
    match target.provider {
        Provider::OpenAi
            if !asked.how.tools.is_empty() && quirks::tools_forbid_thinking(target.model) =>
        {
            effort.or(Some("none"))
        }
        Provider::OpenAi => effort,
        Provider::Groq if target.model.starts_with("openai/gpt-oss") => {
            effort.filter(|it| ["low", "medium", "high"].contains(it))
        }
        _ => None,
    }
}

/// DeepSeek thinks unless it is told not to, and then it neither takes a forced choice nor calls in the history
/// whose thoughts are not with them.
fn must_not_think(asked: &ChatRequest) -> bool {
    let forced = matches!(
        asked.how.tool_choice,
        Some(ToolChoice::Mode(ToolMode::Required) | ToolChoice::Named { .. })
    );
    let thoughtless = |it: &Message| {
        !it.tool_calls.is_empty() && !matches!(it.replay, Some(Replay::DeepSeek { .. }))
    };
    forced
        || asked.how.reasoning_effort.as_deref() == Some("none")
        || asked.messages.iter().any(thoughtless)
}

/// The format as a field, and what must be said beside it.
fn format(
    target: &Target<'_>,
    asked: &ChatRequest,
    stream: bool,
) -> (Option<Value>, Option<String>) {
    let object = || Some(json!({ "type": "json_object" }));
    match asked.how.format() {
        Format::Text => (None, None),
        // Without the word in the question it is refused.
        Format::Json => {
            let said = asked
                .messages
                .iter()
                .any(|it| it.content.to_text().to_ascii_lowercase().contains("json"));
            (object(), in_words(asked.how.format()).filter(|_| !said))
        }
        Format::Schema { .. } => {
            let alone = !stream && asked.how.tools.is_empty();
            let held = quirks::takes_schema(target) && (alone || target.provider != Provider::Groq);
            match held {
                true => (Some(json!(asked.how.format())), None),
                false => (object(), in_words(asked.how.format())),
            }
        }
    }
}

fn message(provider: Provider, message: &Message) -> Value {
    let mut out = Map::new();
    let role = match message.role {
        Role::Developer if provider != Provider::OpenAi => Role::System,
        role => role,
    };
    out.insert("role".to_owned(), json!(role));
    let refusal = message
        .refusal
        .as_ref()
        .filter(|_| message.role == Role::Assistant);
    let content = match &message.content {
        Content::Parts(parts) if message.content.images().next().is_some() => {
            json!(
                parts
                    .iter()
                    .filter(|it| !matches!(it, Part::Refusal { .. }))
                    .collect::<Vec<_>>()
            )
        }
        Content::None if provider != Provider::OpenAi => match refusal {
            Some(refusal) => json!(refusal),
            None => json!(null),
        },
        Content::None => json!(null),
        content => json!(content.to_text()),
    };
    out.insert("content".to_owned(), content);
    if let (Some(refusal), Provider::OpenAi) = (refusal, provider) {
        out.insert("refusal".to_owned(), json!(refusal));
    }
    // Groq refuses names of speakers.
    if let (Some(name), true) = (&message.name, provider != Provider::Groq) {
        out.insert("name".to_owned(), json!(name));
    }
    if !message.tool_calls.is_empty() {
        out.insert("tool_calls".to_owned(), json!(message.tool_calls));
    }
    if let Some(id) = &message.tool_call_id {
        out.insert("tool_call_id".to_owned(), json!(id));
    }
    if let (Some(Replay::DeepSeek { reasoning_content }), Provider::DeepSeek) =
        (&message.replay, provider)
    {
        out.insert("reasoning_content".to_owned(), json!(reasoning_content));
    }
    Value::Object(out)
}

/// A whole answer.
pub(super) fn whole(found: &mut Collected, value: &Value, now_ms: i64) -> Result<(), Failure> {
    if !value["choices"][0]["message"].is_object() {
        return Err(match value["error"].is_null() {
            true => Failure::invalid_answer(),
            false => refused::inside(found.provider, value, now_ms),
        });
    }
    step(found, value, &value["choices"][0]["message"])
}

/// A chunk of a stream.
pub(super) fn chunk(found: &mut Collected, value: &Value, now_ms: i64) -> Result<(), Failure> {
    if !value["error"].is_null() || !value["x_groq"]["error"].is_null() {
        return Err(refused::inside(found.provider, value, now_ms));
    }
    if !value["choices"].is_array() && !value["usage"].is_object() {
        return Err(Failure::invalid_answer());
    }
    step(found, value, &value["choices"][0]["delta"])
}

/// What a message and a delta have in common, and what is around them.
fn step(found: &mut Collected, value: &Value, said: &Value) -> Result<(), Failure> {
    found.id(value["id"].as_str());
    if let Some(thought) = said["reasoning_content"].as_str()
        && found.provider == Provider::DeepSeek
    {
        found.wrote(thought)?;
        match &mut found.replay {
            Some(Replay::DeepSeek { reasoning_content }) => reasoning_content.push_str(thought),
            replay => {
                *replay = Some(Replay::DeepSeek {
                    reasoning_content: thought.to_owned(),
                });
            }
        }
    }
    if let Some(text) = said["content"].as_str() {
        found.text(text)?;
    }
    if let Some(text) = said["refusal"].as_str() {
        found.refusal(text)?;
    }
    let calls = said["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    for (place, call) in calls.iter().enumerate() {
        let index = call["index"].as_u64().unwrap_or(place as u64);
        let index = usize::try_from(index).ok().filter(|it| *it < MAX_TOOLS);
        let index = index.ok_or_else(Failure::invalid_answer)?;
        let function = &call["function"];
        let arguments = match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // An object where a text should be.
            other => other.to_string(),
        };
        match index.cmp(&found.calls()) {
            std::cmp::Ordering::Less => found.arguments(index, &arguments)?,
            std::cmp::Ordering::Equal => {
                let name = function["name"].as_str().unwrap_or_default();
                found.call(call["id"].as_str(), name, &arguments)?;
            }
            std::cmp::Ordering::Greater => return Err(Failure::invalid_answer()),
        }
    }
    if let Some(reason) = value["choices"][0]["finish_reason"].as_str() {
        found.finished(match reason {
            "length" => Finish::Length,
            "tool_calls" | "function_call" => Finish::ToolCalls,
            "content_filter" => Finish::ContentFilter,
            "insufficient_system_resource" => {
                return Err(Failure::new(Class::Fault, code::OVERLOADED));
            }
            _ => Finish::Stop,
        });
    }
    let usage = match value["usage"].is_object() {
        true => &value["usage"],
        false => &value["x_groq"]["usage"],
    };
    if let Some(usage) = read_usage(found.provider, usage) {
        found.used(usage);
    }
    Ok(())
}

fn read_usage(provider: Provider, usage: &Value) -> Option<Usage> {
    let cached = match provider {
        Provider::DeepSeek => count(&usage["prompt_cache_hit_tokens"]),
        _ => None,
    };
    Some(Usage {
        input: count(&usage["prompt_tokens"])?,
        cached: cached.or_else(|| count(&usage["prompt_tokens_details"]["cached_tokens"])),
        output: count(&usage["completion_tokens"])?,
        reasoning: count(&usage["completion_tokens_details"]["reasoning_tokens"]),
    })
}
