//! `POST /api/ai/prompts/{id}/render`, and what a version makes of the values of a call.

use super::active::{self, Version};
use super::model::{Rendered, RenderedMessage, Rendering};
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{AiPromptsRead, Permit};
use crate::http::reply::Data;
use celaest_domain::ai::chat::{ChatRequest, Message, Role};
use celaest_domain::ai::template;
use serde_json::Value;
use std::collections::BTreeMap;

/// The variable that an input stands for, where a prompt has it.
const INPUT: &str = "input_text";

/// Shows what a model would be told, and calls nobody.
pub async fn render(
    permit: Permit<AiPromptsRead>,
    Id(id): Id,
    Body(wanted): Body<Rendering>,
) -> Result<Data<Rendered>> {
    let mut tx = permit.begin();
    let version = active::by_id(&mut tx, id).await?;
    let messages = messages(&version, wanted.variables, wanted.input_text, false, "")?;
    let request = ChatRequest {
        messages,
        ..ChatRequest::default()
    };
    Ok(Data::of(&Rendered {
        prompt_id: version.id,
        slug: version.slug.clone(),
        version: version.version,
        estimated_tokens: request.estimate_tokens(),
        messages: request.messages.iter().map(shown).collect(),
    }))
}

fn shown(message: &Message) -> RenderedMessage {
    let role = match message.role.is_system() {
        true => "system",
        false => "user",
    };
    RenderedMessage {
        role: role.to_owned(),
        content: message.content.to_text(),
    }
}

/// The messages of a version for these values: each variable has one and nothing else has. An input is what
/// the variable `input_text` stands for, or the whole question of a prompt without a template; with `more`
/// messages to come such a prompt needs none. `path` comes before the names of fields in errors: `items[3].`.
///
/// # Errors
/// 422 naming what is missing or too much.
pub fn messages(
    version: &Version,
    mut variables: BTreeMap<String, Value>,
    input: Option<String>,
    more: bool,
    path: &str,
) -> Result<Vec<Message>> {
    let wrong = |field: &str, problem: &str| Error::field(&format!("{path}{field}"), problem);
    let texts = &version.texts;
    let all = texts.all();
    let has_input = all.iter().any(|text| text.variables().contains(INPUT));
    let mut question = None;
    match (input, has_input, &texts.user) {
        (Some(input), true, _) if !variables.contains_key(INPUT) => {
            variables.insert(INPUT.to_owned(), Value::String(input));
        }
        (Some(_), true, _) => {
            return Err(wrong(
                "input_text",
                "is given twice: it is among the variables too",
            ));
        }
        (Some(input), false, None) => question = Some(input),
        (Some(_), false, Some(_)) => {
            return Err(wrong("input_text", "is nothing that the prompt asks for"));
        }
        (None, _, None) if !more => {
            return Err(wrong(
                "input_text",
                "is required for a prompt without a template",
            ));
        }
        (None, _, _) => {}
    }
    template::check_values(&all, variables.keys().map(String::as_str))
        .map_err(|flaw| wrong("variables", &flaw.to_string()))?;
    let put = |text: &template::Template| {
        text.render(&variables)
            .map_err(|flaw| wrong("variables", &flaw.to_string()))
    };
    let user = match &texts.user {
        Some(text) => Some(put(text)?),
        None => question,
    };
    let system = Message::text(Role::System, put(&texts.system)?);
    let user = user.map(|text| Message::text(Role::User, text));
    Ok([system].into_iter().chain(user).collect())
}
