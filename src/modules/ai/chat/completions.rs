//! `POST /api/ai/completions`

use super::model::{AskedCompletion, CompletionAnswer, MAX_QUESTION};
use super::{asking, events};
use crate::error::Error;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AiUse, Light};
use crate::http::reply::{Data, Spoken};
use crate::modules::ai::engine;
use celaest_domain::ai::chat::{Message, Role};

/// Answers one text.
pub async fn complete(
    permit: Light<AiUse>,
    Once(key, Body(body)): Once<Body<AskedCompletion, MAX_QUESTION>>,
) -> Outcome<Spoken<Data<CompletionAnswer>>> {
    let (wish, (prompt, system)) = body.wish();
    let stream = wish.stream;
    let (input, messages) = match (&wish.prompt_slug, prompt, system) {
        (Some(_), input, None) => (input, Vec::new()),
        (Some(_), _, Some(_)) => {
            return Err(
                Error::field("system", "is the prompt's own where prompt_slug is given").into(),
            );
        }
        (None, None, _) => {
            return Err(Error::field("prompt", "is required without prompt_slug").into());
        }
        (None, Some(prompt), system) => {
            let system = system.map(|text| Message::text(Role::System, text));
            let asked = Message::text(Role::User, prompt);
            (None, system.into_iter().chain([asked]).collect())
        }
    };
    let ask = asking::ask(&permit, wish, input, messages, "completion").await?;
    if stream {
        key.refuse("stream")?;
        return Ok(Spoken::Events(
            events::of(&permit.call, ask, CompletionAnswer::of).await?,
        ));
    }
    let answered = async { Ok(engine::answer(&permit.call, ask).await?) };
    let (tx, completion) = permit.once_aside(key, answered).await?;
    let answer = CompletionAnswer::of(completion);
    Ok(Spoken::Whole(permit.commit(tx, Data::of(&answer)).await?))
}
