//! What is asked: from a body to what is stored, and from there to the question.

use crate::error::{Code, Error, Result};
use crate::http::permit::Access;
use crate::modules::ai::prompts::active::{self, Version};
use crate::modules::ai::prompts::render;
use celaest_domain::ai::chat::{ChatRequest, Format, Message, Role, Tool, ToolChoice};
use celaest_domain::ai::provider::Provider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// All attempts of a task's turn together, in milliseconds: by default, and the bounds.
pub const DEADLINE_MS: u32 = 120_000;
const DEADLINES_MS: std::ops::RangeInclusive<u32> = 1_000..=300_000;

/// How a model is asked. What a stored prompt says stands unless it is said here.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AiTaskOptions")]
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
    /// How long to think, where the model can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// How long one turn may take, all its attempts together, in milliseconds: 1000 to 300000, default 120000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
}

/// What is stored of one task, beside its text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The conversation, where there is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// Values of the prompt's variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    /// How it is asked; of a task in a batch the batch says it.
    #[serde(flatten)]
    pub options: Options,
}

/// What one task asks, as it was handed in.
#[derive(Debug, Default)]
pub struct Item {
    /// A text.
    pub prompt: Option<String>,
    /// A conversation.
    pub messages: Option<Vec<Message>>,
    /// What a stored prompt is asked about.
    pub input_text: Option<String>,
    /// Values of its variables.
    pub variables: BTreeMap<String, Value>,
}

impl Options {
    /// Checks what no question says for itself.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn check(&self) -> Result<()> {
        self.provider()?;
        if self
            .deadline_ms
            .is_some_and(|ms| !DEADLINES_MS.contains(&ms))
        {
            return Err(Error::field("deadline_ms", "must be 1000 to 300000"));
        }
        if self.model.as_ref().is_some_and(|name| name.len() > 200) {
            return Err(Error::field("model", "is longer than 200 characters"));
        }
        Ok(())
    }

    /// The provider that is named.
    ///
    /// # Errors
    /// 422 for one that is none.
    pub fn provider(&self) -> Result<Option<Provider>> {
        let Some(name) = &self.provider else {
            return Ok(None);
        };
        serde_json::from_value(json!(name))
            .map(Some)
            .map_err(|_| Error::field("provider", "is none of those that there are"))
    }

    /// Whether the answer is to be JSON.
    pub fn wants_json(&self) -> bool {
        !matches!(self.response_format, None | Some(Format::Text))
    }

    /// The question with these messages.
    pub fn question(&self, version: Option<&Version>, messages: Vec<Message>) -> ChatRequest {
        ChatRequest {
            messages,
            temperature: self.temperature.or(version.map(|it| it.temperature)),
            top_p: self
                .top_p
                // 1 is what every provider does unless told.
                .or(version.map(|it| it.top_p).filter(|share| *share < 1.0)),
            max_tokens: self.max_tokens.or(version.map(|it| it.max_tokens)),
            stop: self.stop.clone(),
            seed: self.seed,
            format: self.response_format.clone().unwrap_or_default(),
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            parallel_tool_calls: self.parallel_tool_calls,
            reasoning_effort: self.reasoning_effort.clone(),
        }
    }
}

impl Item {
    /// The messages that a model is told. `path` comes before the names of fields in errors.
    ///
    /// # Errors
    /// 422 naming what is missing or too much.
    pub fn messages(self, version: Option<&Version>, path: &str) -> Result<Vec<Message>> {
        let wrong = |field: &str, problem: &str| Error::field(&format!("{path}{field}"), problem);
        let Some(version) = version else {
            if !self.variables.is_empty() {
                return Err(wrong(
                    "variables",
                    "are for a stored prompt, and none is named",
                ));
            }
            return match (self.messages, self.prompt.or(self.input_text)) {
                (Some(messages), None) => Ok(messages),
                (None, Some(text)) => Ok(vec![Message::text(Role::User, text)]),
                (Some(_), Some(_)) => Err(wrong("messages", "cannot be there beside a text")),
                (None, None) => Err(wrong(
                    "prompt",
                    "is required, unless there are messages or a stored prompt",
                )),
            };
        };
        if self.messages.is_some() {
            return Err(wrong("messages", "cannot be there beside a stored prompt"));
        }
        if self.prompt.is_some() {
            return Err(wrong(
                "prompt",
                "cannot be there beside a stored prompt: see input_text",
            ));
        }
        render::messages(version, self.variables, self.input_text, path)
    }
}

/// Whether a question can be asked of anybody.
///
/// # Errors
/// 422 naming every field that is not as it must be, after `path`.
pub fn check(request: &ChatRequest, path: &str) -> Result<()> {
    let Err(problems) = request.validate(false) else {
        return Ok(());
    };
    let mut fields = Map::new();
    for problem in problems.into_iter().take(100) {
        // What the tasks of a batch have in common is the batch's.
        let name = match problem.field.starts_with("messages") {
            true => format!("{path}{}", problem.field),
            false => problem.field,
        };
        let list = fields.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(problem.reason.into());
        }
    }
    Err(Error::new(Code::ValidationFailed).with_details(json!({ "fields": fields })))
}

/// The version of a stored prompt that is asked for, if one is.
///
/// # Errors
/// 404 when there is none, 422 when two are named.
pub async fn version(
    access: &Access,
    slug: Option<&str>,
    id: Option<Uuid>,
) -> Result<Option<Version>> {
    match (slug, id) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Error::field(
            "prompt_id",
            "cannot be there beside prompt_slug",
        )),
        (Some(slug), None) => {
            let organization = access
                .scope()
                .organization()
                .or(access.principal.organization_id);
            let caller = access.caller().to_string();
            active::for_caller(&access.call.database, organization, slug, &caller)
                .await
                .map(Some)
        }
        (None, Some(id)) => {
            let mut tx = access.begin();
            let version = active::by_id(&mut tx, id).await?;
            access.commit_aside(tx).await?;
            Ok(Some(version))
        }
    }
}
