//! `POST /v1/chat/completions`

use super::events;
use super::model::{OpenAiChat, OpenAiCompletion};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AiUse, Light};
use crate::http::reply::{Bare, Spoken};
use crate::modules::ai::chat::model::MAX_QUESTION;
use crate::modules::ai::chat::{asking, process};
use crate::modules::ai::engine;

/// Answers a conversation, as OpenAI does.
pub async fn chat(
    permit: Light<AiUse>,
    Once(key, Body(body)): Once<Body<OpenAiChat, MAX_QUESTION>>,
) -> Outcome<Spoken<Bare<OpenAiCompletion>>> {
    let license = process::id("X-License-ID", permit.call.head.license())?;
    let shows_usage = body.shows_usage();
    let (mut wish, messages) = body.wish()?;
    wish.license = license;
    let stream = wish.stream;
    let ask = asking::ask(&permit, wish, None, messages, "chat").await?;
    if stream {
        key.refuse("stream")?;
        return Ok(Spoken::Events(
            events::of(&permit.call, ask, shows_usage).await?,
        ));
    }
    let created = permit.call.started_ms / 1_000;
    let answered = async { Ok(engine::answer(&permit.call, ask).await?) };
    let (tx, completion) = permit.once_aside(key.bare(), answered).await?;
    let answer = OpenAiCompletion::of(completion, created);
    Ok(Spoken::Whole(permit.commit_bare(tx, answer).await?))
}
