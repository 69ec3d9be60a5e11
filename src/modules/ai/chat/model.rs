//! What goes in and out of the doors to the engine.

use crate::http::types::Ident;
use crate::modules::ai::engine::{Attempt, Completion};
use celaest_domain::ai::chat::{
    Finish, Format, Message, Options, Replay, Tool, ToolCall, ToolChoice, Usage,
};
use celaest_domain::ai::provider::Provider;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The largest question, in bytes: images are in it.
pub const MAX_QUESTION: usize = 4 * 1024 * 1024;

/// Makes a body of what is asked and how; the ways differ only in what is asked.
macro_rules! question {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[$attribute:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Deserialize, JsonSchema, Validate)]
        #[serde(deny_unknown_fields)]
        #[garde(allow_unvalidated)]
        pub struct $name {
            $($(#[$attribute])* pub $field: $kind,)*
            /// The prompt to use, by its slug: the organization's own before the platform's.
            #[serde(default)]
            #[garde(inner(length(chars, min = 1, max = 100)))]
            pub prompt_slug: Option<String>,
            /// A value for each variable of the prompt.
            #[serde(default)]
            pub variables: Map<String, Value>,
            /// The model: its id, its provider's name for it, or an alias. The prompt's preference, or else the
            /// default, if left out.
            #[serde(default)]
            #[garde(inner(length(chars, min = 1, max = 200)))]
            pub model: Option<String>,
            /// Only models of this provider.
            #[serde(default)]
            pub provider: Option<Provider>,
            /// The license that is used. The oldest one in force if left out.
            #[serde(default)]
            pub license_id: Option<Ident>,
            /// Whether another model may answer when this one cannot. Default true.
            #[serde(default)]
            pub fallback: Option<bool>,
            /// Further attempts after a provider's own failure. Default 2.
            #[serde(default)]
            #[garde(inner(range(max = 5)))]
            pub retries: Option<u8>,
            /// All attempts together, in milliseconds; of a stream, until its first content. Default 30000.
            #[serde(default)]
            #[garde(inner(range(min = 100, max = 300_000)))]
            pub deadline_ms: Option<u32>,
            /// How long a stream may take until its first content, in milliseconds. Default 20000.
            #[serde(default)]
            #[garde(inner(range(min = 100, max = 300_000)))]
            pub first_token_ms: Option<u32>,
            /// How long a stream may be silent after that, in milliseconds. Default 20000.
            #[serde(default)]
            #[garde(inner(range(min = 100, max = 300_000)))]
            pub between_tokens_ms: Option<u32>,
            /// Whether the answer comes piece by piece, as server-sent events `start`, `delta`, and `end` or `error`.
            #[serde(default)]
            pub stream: bool,
            /// How freely it is answered, 0 to 2.
            #[serde(default)]
            pub temperature: Option<f64>,
            /// The share of probability that tokens are drawn from, 0 to 1.
            #[serde(default)]
            pub top_p: Option<f64>,
            /// The most tokens that the answer may have, thinking included.
            #[serde(default)]
            pub max_tokens: Option<u32>,
            /// Texts at which the answer ends.
            #[serde(default)]
            pub stop: Vec<String>,
            /// For answers that can be repeated, where the provider can.
            #[serde(default)]
            pub seed: Option<i64>,
            /// What shape the answer has.
            #[serde(default)]
            pub response_format: Option<Format>,
            /// The functions that the model may ask to be called.
            #[serde(default)]
            pub tools: Vec<Tool>,
            /// Whether it must call one.
            #[serde(default)]
            pub tool_choice: Option<ToolChoice>,
            /// Whether it may call several at once.
            #[serde(default)]
            pub parallel_tool_calls: Option<bool>,
            /// How long to think, where the model can: `none`, `minimal`, `low`, `medium`, `high`.
            #[serde(default)]
            pub reasoning_effort: Option<String>,
        }

        impl $name {
            /// How it is asked, apart from what is.
            pub fn wish(self) -> (Wish, ($($kind,)*)) {
                let wish = Wish {
                    prompt_slug: self.prompt_slug,
                    variables: self.variables,
                    license: self.license_id.map(|id| id.0),
                    retries: self.retries,
                    first_token_ms: self.first_token_ms,
                    between_tokens_ms: self.between_tokens_ms,
                    stream: self.stream,
                    how: Options {
                        model: self.model,
                        provider: self.provider.map(|provider| provider.to_string()),
                        fallback: self.fallback,
                        temperature: self.temperature,
                        top_p: self.top_p,
                        max_tokens: self.max_tokens,
                        stop: self.stop,
                        seed: self.seed,
                        response_format: self.response_format,
                        tools: self.tools,
                        tool_choice: self.tool_choice,
                        parallel_tool_calls: self.parallel_tool_calls,
                        reasoning_effort: self.reasoning_effort,
                        deadline_ms: self.deadline_ms,
                    },
                };
                (wish, ($(self.$field,)*))
            }
        }
    };
}

/// What somebody who waits for the answer wishes beside what anybody does.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the fields of the bodies above")]
pub struct Wish {
    pub prompt_slug: Option<String>,
    pub variables: Map<String, Value>,
    pub license: Option<Uuid>,
    pub retries: Option<u8>,
    pub first_token_ms: Option<u32>,
    pub between_tokens_ms: Option<u32>,
    pub stream: bool,
    pub how: Options,
}

question! {
    /// Body of `POST /api/ai/chat`.
    Chat {
        /// The conversation so far, the newest last. After the prompt's own messages where one is used.
        #[serde(default)]
        messages: Vec<Message>,
    }
}

question! {
    /// Body of `POST /api/ai/completions`.
    AskedCompletion {
        /// What is asked, as one text. The input of the prompt where one is used by `prompt_slug`.
        #[serde(default)]
        prompt: Option<String>,
        /// The rules of the answer.
        #[serde(default)]
        system: Option<String>,
    }
}

question! {
    /// Body of `POST /api/v1/ai/process`.
    Processing {
        /// What the prompt is about.
        #[serde(default)]
        input_text: Option<String>,
    }
}

/// What a model said.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AiAnswerMessage")]
pub struct AnswerMessage {
    /// `assistant`.
    pub role: &'static str,
    /// The text; none where functions are asked for.
    pub content: Option<String>,
    /// Why it declined, when it says so apart from the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The functions that it asks to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// What its provider wants to see again with the functions' results: send it back as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// What an answer took.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AiReceipt")]
pub struct Receipt {
    /// The license that was used.
    pub license_id: Uuid,
    /// Whose model answered.
    pub provider: Provider,
    /// The provider's name for it.
    pub model: String,
    /// Every attempt, the last one answered.
    pub attempts: Vec<Attempt>,
    /// What it cost, in millionths of a US dollar; null where a price or the usage is not known.
    pub cost_micro_usd: Option<i64>,
    /// How long providers took, in milliseconds.
    pub ai_ms: i64,
    /// How long everything else took, in milliseconds.
    pub overhead_ms: i64,
    /// Requests that the license has left in its period; null without a limit.
    pub requests_left: Option<i64>,
}

/// An answer of `POST /api/ai/chat`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AiChatAnswer")]
pub struct ChatAnswer {
    /// The call; its task has the same id.
    pub id: Uuid,
    /// What the model said.
    pub message: AnswerMessage,
    /// Why it ended.
    pub finish_reason: Finish,
    /// Tokens; null where the provider did not say.
    pub usage: Option<Usage>,
    /// What it took.
    #[serde(flatten)]
    pub receipt: Receipt,
}

/// An answer of `POST /api/ai/completions`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AiCompletionAnswer")]
pub struct CompletionAnswer {
    /// The call; its task has the same id.
    pub id: Uuid,
    /// The text.
    pub text: String,
    /// The functions that the model asks to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Why it ended.
    pub finish_reason: Finish,
    /// Tokens; null where the provider did not say.
    pub usage: Option<Usage>,
    /// What it took.
    #[serde(flatten)]
    pub receipt: Receipt,
}

/// An answer of `POST /api/v1/ai/process`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AiProcessAnswer")]
pub struct ProcessAnswer {
    /// The call: the `core_request_id` of its task.
    pub request_id: Uuid,
    /// The answer: JSON where it is, else its text.
    pub output: Value,
    /// Why it ended.
    pub finish_reason: Finish,
    /// Tokens; null where the provider did not say.
    pub usage: Option<Usage>,
    /// What it took.
    #[serde(flatten)]
    pub receipt: Receipt,
}

/// A list, where there is anything in it.
pub fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

impl Receipt {
    /// Of an answer.
    pub fn of(completion: &Completion) -> Self {
        Self {
            license_id: completion.license,
            provider: completion.provider,
            model: completion.model.clone(),
            attempts: completion.attempts.clone(),
            cost_micro_usd: completion.cost_micro,
            ai_ms: completion.ai_ms,
            overhead_ms: completion.overhead_ms,
            requests_left: completion.requests_left,
        }
    }
}

impl ChatAnswer {
    /// Of an answer.
    pub fn of(completion: Completion) -> Self {
        let receipt = Receipt::of(&completion);
        let answer = completion.answer;
        let says_nothing = answer.content.is_empty()
            && (!answer.tool_calls.is_empty() || answer.refusal.is_some());
        Self {
            id: completion.call,
            message: AnswerMessage {
                role: "assistant",
                content: Some(answer.content).filter(|_| !says_nothing),
                refusal: answer.refusal,
                tool_calls: some(answer.tool_calls),
                replay: answer.replay,
            },
            finish_reason: answer.finish,
            usage: answer.usage,
            receipt,
        }
    }
}

impl CompletionAnswer {
    /// Of an answer.
    pub fn of(completion: Completion) -> Self {
        Self {
            id: completion.call,
            receipt: Receipt::of(&completion),
            text: completion.answer.content,
            tool_calls: some(completion.answer.tool_calls),
            finish_reason: completion.answer.finish,
            usage: completion.answer.usage,
        }
    }
}

impl ProcessAnswer {
    /// Of an answer.
    pub fn of(completion: Completion) -> Self {
        let text = &completion.answer.content;
        let structured = serde_json::from_str(text)
            .ok()
            .filter(|json: &Value| json.is_object() || json.is_array());
        Self {
            request_id: completion.call,
            receipt: Receipt::of(&completion),
            output: structured.unwrap_or_else(|| Value::String(text.clone())),
            finish_reason: completion.answer.finish,
            usage: completion.answer.usage,
        }
    }
}
