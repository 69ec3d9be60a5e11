//! `POST /api/v1/ai/process`, as the dashboard calls it: a prompt by its slug, a text, and three headers that
//! say on whose behalf. They must be the caller's own.

use super::asking;
use super::model::{MAX_QUESTION, ProcessAnswer, Processing};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Access, AiUse, Light};
use crate::http::reply::Data;
use crate::modules::ai::engine;
use serde_json::json;
use uuid::Uuid;

/// Processes a text with a prompt.
pub async fn process(
    permit: Light<AiUse>,
    Once(key, Body(body)): Once<Body<Processing, MAX_QUESTION>>,
) -> Outcome<Data<ProcessAnswer>> {
    let license = checked(&permit)?;
    let (mut wish, (input,)) = body.wish();
    if wish.prompt_slug.is_none() {
        return Err(Error::field("prompt_slug", "is required").into());
    }
    if wish.stream {
        return Err(Error::field("stream", "is not possible here; use /api/ai/chat").into());
    }
    match (license, wish.license) {
        (Some(header), Some(field)) if header != field => {
            return Err(Error::field("license_id", "differs from X-License-ID").into());
        }
        (header, field) => wish.license = field.or(header),
    }
    let ask = asking::ask(&permit, wish, input, Vec::new(), "process").await?;
    let answered = async { Ok(engine::answer(&permit.call, ask).await?) };
    let (tx, completion) = permit.once_aside(key, answered).await?;
    let answer = ProcessAnswer::of(completion);
    permit.commit(tx, Data::of(&answer)).await
}

/// The license of the headers; the other two must name the caller.
fn checked(access: &Access) -> Result<Option<Uuid>> {
    let head = &access.call.head;
    let principal = &access.principal;
    if let Some(named) = id("X-Organization-ID", head.organization())?
        && principal.organization_id != Some(named)
        && access.scope().organization().is_some()
    {
        return Err(not_theirs("X-Organization-ID"));
    }
    if let Some(named) = id("X-User-ID", head.user())?
        && principal.user_id != named
    {
        return Err(not_theirs("X-User-ID"));
    }
    id("X-License-ID", head.license())
}

/// The identifier of a header.
///
/// # Errors
/// 400 naming a header that has none.
pub fn id(header: &str, value: Option<&str>) -> Result<Option<Uuid>> {
    let Some(text) = value else {
        return Ok(None);
    };
    let id = Some(text)
        .filter(|text| text.len() == 36)
        .and_then(|text| Uuid::try_parse(text).ok());
    id.map(Some).ok_or_else(|| {
        let details = json!({ "header": header, "problem": "must be a UUID" });
        Error::new(Code::InvalidHeader).with_details(details)
    })
}

fn not_theirs(header: &str) -> Error {
    Error::new(Code::Forbidden).with_details(json!({ "header": header }))
}
