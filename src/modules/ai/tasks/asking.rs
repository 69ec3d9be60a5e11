//! What a task asks: from a body to what is stored, and from there to the question.

use crate::error::{Error, Result};
use crate::http::permit::Access;
use crate::modules::ai::engine::{Ask, Who};
use crate::modules::ai::prompts::active::{self, Version};
use crate::modules::ai::prompts::render;
use crate::modules::ai::tasks::turns::Common;
use celaest_domain::ai::chat::{Message, Options, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// All attempts of a task's turn together, in milliseconds, unless it says otherwise.
const DEADLINE_MS: u32 = 120_000;

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

impl Item {
    /// The messages that a model is told. `path` comes before the names of fields in errors.
    ///
    /// # Errors
    /// 422 naming what is missing or too much.
    fn messages(self, version: Option<&Version>, path: &str) -> Result<Vec<Message>> {
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
        render::messages(version, self.variables, self.input_text, false, path)
    }
}

/// What a task asks, on behalf of `who`.
///
/// # Errors
/// 422 naming what cannot be asked, `path` before its messages.
pub fn ask(
    who: Who,
    options: Options,
    version: Option<&Version>,
    item: Item,
    path: &str,
) -> Result<Ask> {
    let messages = item.messages(version, path)?;
    let deadline_ms = options.deadline_ms.unwrap_or(DEADLINE_MS);
    Ok(Ask {
        deadline_ms,
        ..crate::modules::ai::asking::ask(options, who, version, messages, "task")?
    })
}

/// What a task asks that was stored, on behalf of `who`; `common` is what all tasks of its batch have in common.
///
/// # Errors
/// As [`ask`].
pub fn stored(
    who: Who,
    request: Asked,
    common: Option<Common>,
    input_text: Option<String>,
    version: Option<&Version>,
) -> Result<Ask> {
    let (mut variables, options) = match common {
        Some(common) => (common.variables, common.options),
        None => (BTreeMap::new(), request.options),
    };
    variables.extend(request.variables);
    let item = Item {
        prompt: None,
        messages: (!request.messages.is_empty()).then_some(request.messages),
        input_text,
        variables,
    };
    ask(who, options, version, item, "")
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
