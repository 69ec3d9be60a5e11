//! How something is asked, at once or later: from what a caller says of it to what the engine is asked.

use super::engine::{Ask, CallerKey, Who};
use super::prompts::active::Version;
use crate::error::{Error, Result};
use crate::http::permit::Access;
use celaest_domain::ai::chat::{ChatRequest, Format, Message, Tool, ToolChoice};
use celaest_domain::ai::provider::Provider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// All attempts together, in milliseconds.
const DEADLINES_MS: std::ops::RangeInclusive<u32> = 100..=300_000;

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
    /// How long one turn may take, all its attempts together, in milliseconds: 100 to 300000, default 120000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
}

/// The caller, as the engine knows callers.
pub fn who(access: &Access) -> Who {
    let principal = &access.principal;
    let call = &access.call;
    Who {
        organization: access.scope().organization(),
        user: principal.user_id,
        owner: access.scope().owner(),
        key: principal.api_key_id.map(|id| CallerKey {
            id,
            budget_micro: principal.ai_budget_micro,
            account: principal.ai_account,
        }),
        license: principal.license.clone(),
        request_id: call.request_id.clone(),
        ip: Some(call.ip.clone()),
        user_agent: call.user_agent.clone(),
    }
}

impl Options {
    /// Whether the answer is to be JSON.
    pub fn wants_json(&self) -> bool {
        !matches!(self.response_format, None | Some(Format::Text))
    }

    /// The question with these messages, asked like this on behalf of `who`.
    ///
    /// # Errors
    /// 422 naming what nobody can be asked with.
    pub fn ask(
        self,
        who: Who,
        version: Option<&Version>,
        messages: Vec<Message>,
        kind: &'static str,
    ) -> Result<Ask> {
        let provider = self.provider()?;
        let request = ChatRequest {
            messages,
            temperature: self.temperature.or(version.map(|it| it.temperature)),
            top_p: self
                .top_p
                // 1 is what every provider does unless told.
                .or(version.map(|it| it.top_p).filter(|share| *share < 1.0)),
            max_tokens: self.max_tokens.or(version.map(|it| it.max_tokens)),
            stop: self.stop,
            seed: self.seed,
            format: self.response_format.unwrap_or_default(),
            tools: self.tools,
            tool_choice: self.tool_choice,
            parallel_tool_calls: self.parallel_tool_calls,
            reasoning_effort: self.reasoning_effort,
        };
        let usual = Ask::new(who, request, kind);
        Ok(Ask {
            model: self.model,
            preferred: version.and_then(|version| version.preferred_model_id),
            provider,
            prompt: version.map(|version| version.id),
            fallback: self.fallback.unwrap_or(usual.fallback),
            deadline_ms: self.deadline_ms.unwrap_or(usual.deadline_ms),
            ..usual
        })
    }

    /// The provider that is named, once everything is looked at that no question says for itself.
    fn provider(&self) -> Result<Option<Provider>> {
        if self
            .deadline_ms
            .is_some_and(|ms| !DEADLINES_MS.contains(&ms))
        {
            return Err(Error::field("deadline_ms", "must be 100 to 300000"));
        }
        if self.model.as_ref().is_some_and(|name| name.len() > 200) {
            return Err(Error::field("model", "is longer than 200 characters"));
        }
        let named = self.provider.as_ref().map(|name| json!(name));
        let named = named.map(serde_json::from_value).transpose();
        named.map_err(|_| Error::field("provider", "is none of those that there are"))
    }
}
