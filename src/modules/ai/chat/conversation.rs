//! `POST /api/ai/chat`

use super::model::{Chat, ChatAnswer, MAX_QUESTION};
use super::{asking, events};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AiUse, Light};
use crate::http::reply::{Data, Spoken};
use crate::modules::ai::engine;

/// Answers a conversation.
pub async fn chat(
    permit: Light<AiUse>,
    Once(key, Body(body)): Once<Body<Chat, MAX_QUESTION>>,
) -> Outcome<Spoken<Data<ChatAnswer>>> {
    let (wish, (messages,)) = body.wish();
    let stream = wish.stream;
    let ask = asking::ask(&permit, wish, None, messages, "chat").await?;
    if stream {
        key.refuse("stream")?;
        return Ok(Spoken::Events(
            events::of(&permit.call, ask, ChatAnswer::of).await?,
        ));
    }
    let answered = async { Ok(engine::answer(&permit.call, ask).await?) };
    let (tx, completion) = permit.once_aside(key, answered).await?;
    let answer = ChatAnswer::of(completion);
    Ok(Spoken::Whole(permit.commit(tx, Data::of(&answer)).await?))
}
