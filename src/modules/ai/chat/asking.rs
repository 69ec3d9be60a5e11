//! From what a caller sends to what the engine is asked.

use super::model::Wish;
use crate::error::{Error, Result};
use crate::http::permit::Access;
use crate::modules::ai::asking;
use crate::modules::ai::engine::Ask;
use crate::modules::ai::prompts::{active, render};
use celaest_domain::ai::chat::Message;

/// The question of a caller: `input` is what a prompt is about, `messages` follow it.
///
/// # Errors
/// 404 for a prompt that is not there, 422 for values that do not fit it, and for no question at all.
pub async fn ask(
    access: &Access,
    wish: Wish,
    input: Option<String>,
    messages: Vec<Message>,
    kind: &'static str,
) -> Result<Ask> {
    let mut all = messages;
    let mut version = None;
    if let Some(slug) = &wish.prompt_slug {
        // Always the same version for one person and key.
        let caller = access.caller().to_string();
        let organization = access.principal.organization_id;
        let found = active::for_caller(&access.call.database, organization, slug, &caller).await?;
        let variables = wish.variables.into_iter().collect();
        let more = !all.is_empty();
        all.splice(0..0, render::messages(&found, variables, input, more, "")?);
        version = Some(found);
    } else if !wish.variables.is_empty() {
        return Err(Error::field("variables", "need a prompt, by prompt_slug"));
    }
    let usual = asking::ask(wish.how, asking::who(access), version.as_ref(), all, kind)?;
    Ok(Ask {
        license: wish.license,
        retries: wish.retries.unwrap_or(usual.retries),
        first_token_ms: wish.first_token_ms.unwrap_or(usual.first_token_ms),
        between_tokens_ms: wish.between_tokens_ms.unwrap_or(usual.between_tokens_ms),
        ..usual
    })
}
