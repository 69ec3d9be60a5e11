//! The providers' dialects: a question into a request, an answer or a stream back.

mod anthropic;
mod collect;
mod gemini;
mod lines;
mod ollama;
mod openai;
mod quirks;
mod refused;
mod stream;
#[cfg(test)]
mod tests;
mod wait;

use std::fmt;

use serde_json::Value;

pub use stream::{SoFar, Stream};

use self::collect::Collected;
use super::chat::{Answer, ChatRequest, Finish, Format, Usage};
use super::failure::{Class, Failure, code};
use super::provider::Provider;

/// Who is asked, where, with which key, and what the catalogue knows about the model.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The dialect.
    pub provider: Provider,
    /// Where its API is, without a slash at the end.
    pub base_url: &'a str,
    /// The key; empty where none is needed.
    pub secret: &'a str,
    /// The provider's name of the model.
    pub model: &'a str,
    /// The most tokens the model answers with, if known.
    pub max_output: Option<u32>,
    /// Whether it keeps to a JSON schema; `None` when nobody said, which is then guessed from its name.
    pub json_schema: Option<bool>,
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("provider", &self.provider)
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl Target<'_> {
    /// The most tokens to ask for: no more than the model has.
    fn max_tokens(&self, request: &ChatRequest) -> Option<u32> {
        request
            .how
            .max_tokens
            .map(|most| most.min(self.max_output.unwrap_or(most)))
    }
}

/// A request as it goes out: a POST with a JSON body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where to.
    pub url: String,
    /// Names in lower case. The key is among them.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON.
    pub body: String,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither key nor prompt belongs into any log.
        f.debug_struct("HttpRequest")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What an answer begins with.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.trim())
    }

    /// Whether the body is of one of these media types, or of none that is named.
    fn is_of(&self, types: &[&str]) -> bool {
        let Some(named) = self.get("content-type") else {
            return true;
        };
        let essence = named.split(';').next().unwrap_or_default().trim();
        types.iter().any(|it| essence.eq_ignore_ascii_case(it))
    }

    fn request_id(&self) -> Option<String> {
        let id = self
            .get("x-request-id")
            .or_else(|| self.get("request-id"))?;
        bounded_id(id)
    }
}

/// The longest answer, in bytes: a longer one is a failure. Of a stream it is the text and the calls in it.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// One step of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// More text.
    Text(String),
    /// More of why it declines.
    Refusal(String),
    /// A function that it asks for, or more of its arguments.
    ToolCall {
        /// Which call, from 0.
        index: u32,
        /// With a call's first step.
        id: Option<String>,
        /// With a call's first step.
        name: Option<String>,
        /// More of the arguments' text.
        arguments: String,
    },
    /// What was used until now; the last one counts.
    Usage(Usage),
    /// Why it ended. Usage may still follow.
    Finish(Finish),
}

/// The request that asks this.
///
/// # Errors
/// [`Class::Model`] when this provider cannot be asked it in any way, such as an image by its URL where only
/// images themselves are taken.
pub fn request(
    target: &Target<'_>,
    asked: &ChatRequest,
    stream: bool,
) -> Result<HttpRequest, Failure> {
    if !asked.image_urls(target.provider).is_empty() {
        return Err(Failure::new(Class::Model, code::UNSUPPORTED));
    }
    let (path, key, body) = match target.provider {
        Provider::OpenAi | Provider::Groq | Provider::DeepSeek => {
            openai::request(target, asked, stream)
        }
        Provider::Anthropic => anthropic::request(target, asked, stream),
        Provider::Gemini => gemini::request(target, asked, stream),
        Provider::Local => ollama::request(target, asked, stream),
    };
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if !target.secret.is_empty() {
        let value = match key {
            "authorization" => format!("Bearer {}", target.secret),
            _ => target.secret.to_owned(),
        };
        headers.push((key, value));
    }
    if target.provider == Provider::Anthropic {
        headers.push(("anthropic-version", "2023-06-01".to_owned()));
    }
    Ok(HttpRequest {
        url: format!("{}{path}", target.base_url),
        headers,
        body: body.to_string(),
    })
}

/// Reads a whole answer, good or bad. `now_ms` is for what says "in 5 seconds".
///
/// # Errors
/// What the answer means when it is none.
pub fn answer(
    provider: Provider,
    head: &Head,
    body: &[u8],
    now_ms: i64,
) -> Result<Answer, Failure> {
    if body.len() > MAX_ANSWER_BYTES {
        return Err(Failure::too_large());
    }
    let value: Option<Value> = serde_json::from_slice(body).ok();
    if head.status != 200 {
        return Err(refused::by_status(provider, head, value.as_ref(), now_ms));
    }
    let json = head.is_of(&["application/json"]);
    let value = value
        .filter(|it| json && it.is_object())
        .ok_or_else(Failure::invalid_answer)?;
    let mut found = Collected::new(provider);
    let absorb = match provider {
        Provider::OpenAi | Provider::Groq | Provider::DeepSeek => openai::whole,
        Provider::Anthropic => anthropic::whole,
        Provider::Gemini => gemini::chunk,
        Provider::Local => ollama::chunk,
    };
    absorb(&mut found, &value, now_ms)?;
    found.answer(head)
}

/// The most tokens of one kind that one call can have; more is a mistake, and no count.
const MAX_TOKENS: u64 = 100_000_000;

/// A number of tokens; what is none is absent.
fn count(value: &Value) -> Option<u64> {
    value.as_u64().filter(|it| *it <= MAX_TOKENS)
}

/// A number of tokens that is left out where it is 0; `None` for what is none.
fn count_or_none(value: &Value) -> Option<u64> {
    match value {
        Value::Null => Some(0),
        value => count(value),
    }
}

/// An identifier of the provider's that is short enough to be kept.
fn bounded_id(id: &str) -> Option<String> {
    let printable = id.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=200).contains(&id.len()) && printable).then(|| id.to_owned())
}

/// What the model is told where the provider has no way to demand the format. `None` when nothing need be said.
fn in_words(format: &Format) -> Option<String> {
    match format {
        Format::Text => None,
        Format::Json => Some("Answer with one JSON object and nothing else.".to_owned()),
        Format::Schema { json_schema } => Some(format!(
            "Answer with JSON of this schema and nothing else:\n{}",
            json_schema.schema
        )),
    }
}

/// Arguments as the object they should be. What a model wrote need not be one: then it is passed on as a text.
fn arguments_object(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ if arguments.trim().is_empty() => serde_json::json!({}),
        _ => serde_json::json!({ "arguments": arguments }),
    }
}
