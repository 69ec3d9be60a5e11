//! How something is asked, at once or later: from what a caller says of it to what the engine is asked.

use super::engine::{Ask, CallerKey, Who};
use super::prompts::active::Version;
use crate::error::{Error, Result};
use crate::http::permit::Access;
use celaest_domain::ai::chat::{ChatRequest, Message, Options};
use celaest_domain::ai::provider::Provider;
use serde_json::json;

/// All attempts together, in milliseconds.
const DEADLINES_MS: std::ops::RangeInclusive<u32> = 100..=300_000;

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

/// The question with these messages, asked like this on behalf of `who`.
///
/// # Errors
/// 422 naming what nobody can be asked with.
pub fn ask(
    mut how: Options,
    who: Who,
    version: Option<&Version>,
    messages: Vec<Message>,
    kind: &'static str,
) -> Result<Ask> {
    let provider = provider(&how)?;
    if let Some(version) = version {
        how.temperature.get_or_insert(version.temperature);
        how.max_tokens.get_or_insert(version.max_tokens);
        // 1 is what every provider does unless told.
        how.top_p = how
            .top_p
            .or(Some(version.top_p).filter(|share| *share < 1.0));
    }
    let (fallback, deadline_ms) = (how.fallback, how.deadline_ms);
    let usual = Ask::new(who, ChatRequest { messages, how }, kind);
    Ok(Ask {
        preferred: version.and_then(|version| version.preferred_model_id),
        provider,
        prompt: version.map(|version| version.id),
        fallback: fallback.unwrap_or(usual.fallback),
        deadline_ms: deadline_ms.unwrap_or(usual.deadline_ms),
        ..usual
    })
}

/// The provider that is named, once everything is looked at that no question says for itself.
fn provider(how: &Options) -> Result<Option<Provider>> {
    if how
        .deadline_ms
        .is_some_and(|ms| !DEADLINES_MS.contains(&ms))
    {
        return Err(Error::field("deadline_ms", "must be 100 to 300000"));
    }
    if how.model.as_ref().is_some_and(|name| name.len() > 200) {
        return Err(Error::field("model", "is longer than 200 characters"));
    }
    let named = how.provider.as_ref().map(|name| json!(name));
    let named = named.map(serde_json::from_value).transpose();
    named.map_err(|_| Error::field("provider", "is none of those that there are"))
}
