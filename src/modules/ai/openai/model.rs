//! What OpenAI's clients send and read.

use crate::error::{Code, Error, Result};
use crate::modules::ai::chat::model::{Receipt, Wish, some};
use crate::modules::ai::engine::Completion;
use celaest_domain::ai::chat::{
    Finish, Format, Message, Options, Tool, ToolCall, ToolChoice, Usage,
};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Fields of messages that come back from answers and mean nothing here.
const IGNORED: [&str; 3] = ["annotations", "audio", "function_call"];

/// Body of `POST /v1/chat/completions`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OpenAiChat")]
#[garde(allow_unvalidated)]
pub struct OpenAiChat {
    /// The conversation so far, the newest last.
    #[schemars(with = "Vec<Message>")]
    pub messages: Vec<Map<String, Value>>,
    /// The model: its id, its provider's name for it, or an alias.
    #[garde(length(chars, min = 1, max = 200))]
    pub model: String,
    /// Whether the answer comes piece by piece.
    #[serde(default)]
    pub stream: Option<bool>,
    /// What a stream has beside the answer.
    #[serde(default)]
    pub stream_options: Option<StreamOptions>,
    /// How freely it is answered, 0 to 2.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// The share of probability that tokens are drawn from, 0 to 1.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// The most tokens that the answer may have.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// The same under its newer name.
    #[serde(default)]
    pub max_completion_tokens: Option<u32>,
    /// A text at which the answer ends, or several.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// For answers that can be repeated.
    #[serde(default)]
    pub seed: Option<i64>,
    /// What shape the answer has.
    #[serde(default)]
    pub response_format: Option<Format>,
    /// The functions that the model may ask to be called.
    #[serde(default)]
    pub tools: Option<Vec<Tool>>,
    /// Whether it must call one.
    #[serde(default)]
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    #[serde(default)]
    pub parallel_tool_calls: Option<bool>,
    /// How long to think, where the model can.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
    /// How many answers: 1.
    #[serde(default)]
    pub n: Option<u32>,
    /// 0 alone.
    #[serde(default)]
    pub frequency_penalty: Option<f64>,
    /// 0 alone.
    #[serde(default)]
    pub presence_penalty: Option<f64>,
    /// `false` alone.
    #[serde(default)]
    pub logprobs: Option<bool>,
    /// 0 alone.
    #[serde(default)]
    pub top_logprobs: Option<u32>,
    /// Empty.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub logit_bias: Option<Value>,
    /// Nothing: see `tools`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Value>>")]
    pub functions: Option<Value>,
    /// Nothing: see `tool_choice`.
    #[serde(default)]
    pub function_call: Option<Value>,
    /// Nothing.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub audio: Option<Value>,
    /// Nothing.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub web_search_options: Option<Value>,
    /// Nothing.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub moderation: Option<Value>,
    /// `text` alone.
    #[serde(default)]
    pub modalities: Option<Vec<String>>,
    /// Not used.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub metadata: Option<Value>,
    /// Not used.
    #[serde(default)]
    pub store: Option<bool>,
    /// Not used.
    #[serde(default)]
    pub user: Option<String>,
    /// Not used.
    #[serde(default)]
    pub safety_identifier: Option<String>,
    /// Not used.
    #[serde(default)]
    pub prompt_cache_key: Option<String>,
    /// Not used.
    #[serde(default)]
    pub prompt_cache_retention: Option<String>,
    /// Not used.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub prompt_cache_options: Option<Value>,
    /// Not used.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub prediction: Option<Value>,
    /// Not used.
    #[serde(default)]
    pub service_tier: Option<String>,
    /// Not used.
    #[serde(default)]
    pub verbosity: Option<String>,
}

/// What a stream has beside the answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OpenAiStreamOptions")]
pub struct StreamOptions {
    /// A last chunk with the usage.
    #[serde(default)]
    pub include_usage: Option<bool>,
    /// Not used.
    #[serde(default)]
    pub include_obfuscation: Option<bool>,
}

/// A text at which the answer ends, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "OpenAiStop")]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl OpenAiChat {
    /// Whether a stream ends with its usage.
    pub fn shows_usage(&self) -> bool {
        let options = self.stream_options.as_ref();
        options.is_some_and(|options| options.include_usage == Some(true))
    }

    /// What would change the answer and is not the same everywhere is taken only where it changes nothing.
    fn asks_for_nothing_else(&self) -> Result<()> {
        let nonzero = |number: Option<f64>| number.is_some_and(|number| number != 0.0);
        let is_empty = |value: &Value| *value == json!({}) || *value == json!([]);
        let more = |value: &Option<Value>| value.as_ref().is_some_and(|value| !is_empty(value));
        let modality = |kind: &String| kind != "text";
        let calls_named = matches!(&self.function_call, Some(Value::Object(_)));
        for (field, asks, problem) in [
            ("n", self.n.is_some_and(|count| count != 1), "must be 1"),
            (
                "frequency_penalty",
                nonzero(self.frequency_penalty),
                "must be 0",
            ),
            (
                "presence_penalty",
                nonzero(self.presence_penalty),
                "must be 0",
            ),
            ("logprobs", self.logprobs == Some(true), "must be false"),
            (
                "top_logprobs",
                self.top_logprobs.is_some_and(|count| count > 0),
                "must be 0",
            ),
            ("logit_bias", more(&self.logit_bias), "must be empty"),
            (
                "modalities",
                self.modalities.iter().flatten().any(modality),
                "must be text alone",
            ),
            ("audio", self.audio.is_some(), "is not available"),
            (
                "web_search_options",
                self.web_search_options.is_some(),
                "is not available",
            ),
            ("moderation", self.moderation.is_some(), "is not available"),
            ("functions", more(&self.functions), "are called tools"),
            ("function_call", calls_named, "is called tool_choice"),
        ] {
            if asks {
                return Err(Error::field(field, problem));
            }
        }
        Ok(())
    }

    /// The question and how it is asked.
    ///
    /// # Errors
    /// 422 for what none of the providers can do, 400 for a message that is none.
    pub fn wish(self) -> Result<(Wish, Vec<Message>)> {
        self.asks_for_nothing_else()?;
        let mut messages = Vec::with_capacity(self.messages.len());
        for (place, mut message) in self.messages.into_iter().enumerate() {
            message.retain(|name, _| !IGNORED.contains(&name.as_str()));
            let read = serde_json::from_value(Value::Object(message));
            messages.push(read.map_err(|error| {
                let problem = crate::error::plain(&error.to_string());
                Error::new(Code::InvalidBody).with_details(
                    json!({ "path": format!("messages[{place}]"), "problem": problem }),
                )
            })?);
        }
        let how = Options {
            model: Some(self.model),
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            stop: match self.stop {
                None => Vec::new(),
                Some(Stop::One(text)) => vec![text],
                Some(Stop::Several(texts)) => texts,
            },
            seed: self.seed,
            response_format: self.response_format,
            tools: self.tools.unwrap_or_default(),
            tool_choice: self.tool_choice,
            parallel_tool_calls: self.parallel_tool_calls,
            reasoning_effort: self.reasoning_effort,
            ..Options::default()
        };
        let wish = Wish {
            stream: self.stream == Some(true),
            how,
            ..Wish::default()
        };
        Ok((wish, messages))
    }
}

/// An answer as OpenAI gives it, with what it took beside.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiCompletion")]
pub struct OpenAiCompletion {
    /// `chatcmpl-` and the call.
    pub id: String,
    /// `chat.completion`.
    pub object: &'static str,
    /// When, in Unix seconds.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// The answer, alone.
    pub choices: Vec<Choice>,
    /// Tokens; left out where the provider did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<OpenAiUsage>,
    /// What it took, beyond what OpenAI says.
    pub celaest: Receipt,
}

/// An answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiChoice")]
pub struct Choice {
    /// 0.
    pub index: u32,
    /// What the model said.
    pub message: OpenAiMessage,
    /// None.
    pub logprobs: Option<Value>,
    /// Why it ended.
    pub finish_reason: Finish,
}

/// What a model said.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiMessage")]
pub struct OpenAiMessage {
    /// `assistant`.
    pub role: &'static str,
    /// The text.
    pub content: Option<String>,
    /// Why it declined.
    pub refusal: Option<String>,
    /// The functions that it asks to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// What its provider wants to see again with the functions' results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<celaest_domain::ai::chat::Replay>,
}

/// Tokens, in OpenAI's words.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiUsage")]
pub struct OpenAiUsage {
    /// Of the question.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
    /// Of both.
    pub total_tokens: u64,
    /// Of the question's, those from a cache.
    pub prompt_tokens_details: PromptDetails,
    /// Of the answer's, those for thinking.
    pub completion_tokens_details: CompletionDetails,
}

/// Of the question's tokens.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiPromptDetails")]
pub struct PromptDetails {
    /// Those from a cache.
    pub cached_tokens: u64,
}

/// Of the answer's tokens.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiCompletionDetails")]
pub struct CompletionDetails {
    /// Those for thinking.
    pub reasoning_tokens: u64,
}

impl From<Usage> for OpenAiUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached.unwrap_or(0),
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning.unwrap_or(0),
            },
        }
    }
}

impl OpenAiCompletion {
    /// Of an answer, at a moment in Unix seconds.
    pub fn of(completion: Completion, created: i64) -> Self {
        let celaest = Receipt::of(&completion);
        let answer = completion.answer;
        let says_nothing = answer.content.is_empty()
            && (!answer.tool_calls.is_empty() || answer.refusal.is_some());
        Self {
            id: id(completion.call),
            object: "chat.completion",
            created,
            model: completion.model,
            choices: vec![Choice {
                index: 0,
                message: OpenAiMessage {
                    role: "assistant",
                    content: Some(answer.content).filter(|_| !says_nothing),
                    refusal: answer.refusal,
                    tool_calls: some(answer.tool_calls),
                    replay: answer.replay,
                },
                logprobs: None,
                finish_reason: answer.finish,
            }],
            usage: answer.usage.map(OpenAiUsage::from),
            celaest,
        }
    }
}

/// A call as OpenAI's clients know calls.
pub fn id(call: uuid::Uuid) -> String {
    format!("chatcmpl-{}", call.simple())
}
