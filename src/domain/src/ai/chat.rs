//! What is asked and what is answered, in no provider's dialect.
//!
//! Messages, tools and formats are written in JSON as OpenAI writes them, because that is what programs
//! already send.

mod message;
#[cfg(test)]
mod tests;
mod tools;
mod validate;

use serde::{Deserialize, Serialize};

pub use message::{Content, ImageUrl, Message, Part, Replay, Role};
pub use tools::{
    Format, FunctionCall, FunctionName, FunctionType, Schema, Tool, ToolCall, ToolChoice,
    ToolFunction, ToolMode,
};
pub(crate) use validate::quarters;
pub use validate::{IMAGES, MAX_TOOLS, Problem, estimate_text};

/// A question to a model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation so far, the newest last.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// How it is asked.
    #[serde(flatten)]
    pub how: Options,
}

/// How a model is asked. What a stored prompt says stands unless it is said here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiTaskOptions"))]
#[serde(default)]
pub struct Options {
    /// The model's name or alias. Default the stored prompt's, or the first by priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Only models of this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Whether another model may answer in the place of the first. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<bool>,
    /// How freely it is answered, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of probability that tokens are drawn from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens that the answer may have, thinking included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts at which the answer ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// For answers that can be repeated, where the provider can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// What shape the answer has: `text`, `json_object`, or `json_schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Format>,
    /// The functions that the model may ask to be called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether it must call one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How long to think, where the model can: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// How long one turn may take, all its attempts together, in milliseconds: 100 to 300000, default 120000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
}

impl Options {
    /// What shape the answer has.
    #[must_use]
    pub fn format(&self) -> &Format {
        self.response_format.as_ref().unwrap_or(&Format::Text)
    }
}

/// What a model answered, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text; empty when there is none.
    pub content: String,
    /// Why it declined, when it says so apart from the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The functions it asks to be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Finish,
    /// What it used; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// The provider's own identifier of the call.
    pub provider_request_id: Option<String>,
    /// What the provider wants to see again when the tools' results are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiFinish"))]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It reached the most tokens it may have.
    Length,
    /// It asks for functions to be called.
    ToolCalls,
    /// It was held back, or the model declined.
    ContentFilter,
}

impl Finish {
    /// OpenAI's word for it, which is the API's too.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Tokens, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiUsage"))]
pub struct Usage {
    /// Of the question, those read from a cache included.
    pub input: u64,
    /// Of these, those read from a cache; `None` when the provider does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Of the answer, thinking included.
    pub output: u64,
    /// Of these, thinking; `None` when the provider does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

impl Usage {
    /// All of it.
    #[must_use]
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
