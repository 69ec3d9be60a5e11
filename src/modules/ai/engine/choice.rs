//! Which models are asked, in which order.

use super::Ask;
use crate::error::{Code, Error, Result};
use crate::modules::ai::models::{Catalogue, Model};
use celaest_domain::ai::chat::{ChatRequest, Format};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Models that are asked at most.
const MOST_MODELS: usize = 6;
/// Problems that are named at most.
const MOST_PROBLEMS: usize = 100;

/// Whether a question can be asked of anybody. `allow_private` is for local development.
///
/// # Errors
/// 422 naming every field that is not as it must be.
pub fn checked(ask: &Ask, allow_private: bool) -> Result<()> {
    let Err(problems) = ask.request.validate(allow_private) else {
        return Ok(());
    };
    let mut fields: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for problem in problems.into_iter().take(MOST_PROBLEMS) {
        fields
            .entry(problem.field)
            .or_default()
            .push(problem.reason);
    }
    Err(Error::new(Code::ValidationFailed).with_details(json!({ "fields": fields })))
}

/// The same refusal of a question that is one of many: `path` stands before what is wrong with its messages. What
/// they have in common is everybody's.
pub fn within(path: &str, mut error: Error) -> Error {
    if let Some(Value::Object(fields)) = error.details.as_mut().and_then(|it| it.get_mut("fields"))
    {
        *fields = std::mem::take(fields)
            .into_iter()
            .map(|(name, problem)| match name.starts_with("messages") {
                true => (format!("{path}{name}"), problem),
                false => (name, problem),
            })
            .collect();
    }
    error
}

/// The models to ask, the first first: those that were named, or the default ones, and then, where that is
/// allowed, the others that can do the same.
///
/// # Errors
/// 404 for a name that stands for none, 422 when those that may answer cannot.
pub fn models(
    catalogue: &Catalogue,
    ask: &Ask,
    tokens: u64,
    streams: bool,
) -> Result<Vec<Arc<Model>>> {
    let of_provider = |model: &Arc<Model>| {
        ask.provider
            .is_none_or(|provider| model.provider == provider)
    };
    let preferred = ask.preferred.and_then(|id| catalogue.by_id(id));
    let named: Vec<Arc<Model>> = match (ask.request.how.model.as_deref(), preferred) {
        (Some(name), _) => catalogue.named(name),
        (None, Some(model)) => vec![model.clone()],
        (None, None) => catalogue.models.clone(),
    };
    let named: Vec<_> = named.into_iter().filter(of_provider).collect();
    if named.is_empty() {
        let details = json!({ "model": ask.request.how.model, "provider": ask.provider });
        return Err(Error::new(Code::ModelNotFound).with_details(details));
    }
    let others = catalogue.models.iter().filter(|model| {
        ask.fallback && of_provider(model) && named.iter().all(|known| known.id != model.id)
    });
    let mut refused = None;
    let mut chosen = Vec::new();
    for (place, model) in named.iter().chain(others).enumerate() {
        match fits(model, &ask.request, tokens, streams) {
            Ok(()) => chosen.push(model.clone()),
            // A model that was named is to answer as it is asked: nobody else stands in for what it cannot do.
            Err(problem) if place == 0 && ask.request.how.model.is_some() && named.len() == 1 => {
                return Err(problem);
            }
            Err(problem) => {
                refused.get_or_insert(problem);
            }
        }
        let enough = if ask.fallback { MOST_MODELS } else { 1 };
        if chosen.len() >= enough {
            break;
        }
    }
    match (chosen.is_empty(), refused) {
        (true, Some(problem)) => Err(problem),
        _ => Ok(chosen),
    }
}

/// Whether a model can be asked this at all.
fn fits(model: &Model, request: &ChatRequest, tokens: u64, streams: bool) -> Result<()> {
    let can = &model.capabilities;
    let cannot = |field: &str, problem: &str| Err(Error::field(field, problem));
    let images = request.messages.iter();
    if !can.vision
        && images
            .map(|message| message.content.images().count())
            .sum::<usize>()
            > 0
    {
        return cannot("messages", "has images, which the model cannot see");
    }
    if !can.function_calling && !request.how.tools.is_empty() {
        return cannot("tools", "are nothing that the model can call");
    }
    let json = match request.how.format() {
        Format::Text => true,
        Format::Json => can.json_mode,
        Format::Schema { .. } => can.json_mode || can.json_schema,
    };
    if !json {
        return cannot("response_format", "is nothing that the model can keep to");
    }
    if streams && !can.streaming {
        return cannot("stream", "is nothing that the model can do");
    }
    let answer = u64::from(request.how.max_tokens.unwrap_or(0));
    if let Some(most) = model
        .max_tokens_output
        .filter(|most| answer > u64::from(*most))
    {
        return cannot(
            "max_tokens",
            &format!("must be at most {most} for this model"),
        );
    }
    let most = match (model.context_window, model.max_tokens_input) {
        (Some(window), Some(input)) => u64::from(window)
            .saturating_sub(answer)
            .min(u64::from(input)),
        (Some(window), None) => u64::from(window).saturating_sub(answer),
        (None, Some(input)) => u64::from(input),
        (None, None) => return Ok(()),
    };
    if tokens > most {
        let details = json!({
            "fields": { "messages": ["is longer than the model takes"] },
            "counted": tokens, "max_tokens": answer, "most": most, "context_window": model.context_window,
            "model": model.model_id,
        });
        return Err(Error::new(Code::ContextTooLong).with_details(details));
    }
    Ok(())
}
