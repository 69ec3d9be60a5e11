//! From what a caller sends to what the engine is asked.

use super::model::Options;
use crate::error::{Error, Result};
use crate::http::permit::Access;
use crate::modules::ai::engine::{Ask, CallerKey, DEADLINE_MS, RETRIES, SILENCE_MS, Who};
use crate::modules::ai::prompts::{active, render};
use celaest_domain::ai::chat::{ChatRequest, Message};

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
        }),
        license: principal.license.clone(),
        request_id: call.request_id.clone(),
        ip: Some(call.ip.clone()),
        user_agent: call.user_agent.clone(),
    }
}

/// The question of a caller: `input` is what a prompt is about, `messages` follow it.
///
/// # Errors
/// 404 for a prompt that is not there, 422 for values that do not fit it, and for no question at all.
pub async fn ask(
    access: &Access,
    options: Options,
    input: Option<String>,
    messages: Vec<Message>,
    kind: &'static str,
) -> Result<Ask> {
    let mut all = Vec::new();
    let mut version = None;
    if let Some(slug) = &options.prompt_slug {
        // Always the same version for one person and key.
        let caller = access.caller().to_string();
        let organization = access.principal.organization_id;
        let found = active::for_caller(&access.call.database, organization, slug, &caller).await?;
        let variables = options.variables.into_iter().collect();
        all = render::messages(&found, variables, input, "")?;
        version = Some(found);
    } else if !options.variables.is_empty() {
        return Err(Error::field("variables", "need a prompt, by prompt_slug"));
    }
    all.extend(messages);
    let prompt = version.as_ref();
    let request = ChatRequest {
        messages: all,
        temperature: options
            .temperature
            .or(prompt.map(|version| version.temperature)),
        top_p: options.top_p.or(prompt.map(|version| version.top_p)),
        max_tokens: options
            .max_tokens
            .or(prompt.map(|version| version.max_tokens)),
        stop: options.stop,
        seed: options.seed,
        format: options.format.unwrap_or_default(),
        tools: options.tools,
        tool_choice: options.tool_choice,
        parallel_tool_calls: options.parallel_tool_calls,
        reasoning_effort: options.reasoning_effort,
    };
    Ok(Ask {
        license: options.license,
        model: options.model,
        preferred: prompt.and_then(|version| version.preferred_model_id),
        provider: options.provider,
        prompt: prompt.map(|version| version.id),
        fallback: options.fallback.unwrap_or(true),
        retries: options.retries.unwrap_or(RETRIES),
        deadline_ms: options.deadline_ms.unwrap_or(DEADLINE_MS),
        first_token_ms: options.first_token_ms.unwrap_or(SILENCE_MS),
        between_tokens_ms: options.between_tokens_ms.unwrap_or(SILENCE_MS),
        ..Ask::new(who(access), request, kind)
    })
}
