//! An answer piece by piece: `start` with who answers, `delta` with more of it, and at last `end` with all of
//! it or `error` with why there is no more.

use crate::call::Call;
use crate::error::{Error, Result};
use crate::http::reply::Events;
use crate::modules::ai::engine::{self, Ask, Completion, Piece, Streaming};
use celaest_domain::ai::wire::Event;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};
use std::rc::Rc;

/// Asks, and makes events of what comes; `whole` says what `end` carries.
///
/// # Errors
/// Why there is no answer, as long as no content came.
pub async fn of<T: Serialize + 'static>(
    call: &Rc<Call>,
    ask: Ask,
    whole: fn(Completion) -> T,
) -> Result<Events> {
    let Streaming {
        call: id,
        provider,
        model,
        attempts,
        pieces,
    } = engine::stream(call, ask).await?;
    let start = json!({ "id": id, "provider": provider, "model": model, "attempts": attempts });
    let start = stream::iter([Ok(Events::event(Some("start"), &start))]);
    let call = call.clone();
    let more = pieces.filter_map(move |piece| {
        let event = match piece {
            Piece::Event(event) => delta(event).map(|delta| Events::event(Some("delta"), &delta)),
            Piece::End(completion) => Some(Events::event(Some("end"), &whole(*completion))),
            Piece::Failed(error) => {
                let object = error.object(call.language, &call.request_id);
                Some(Events::event(Some("error"), &object))
            }
        };
        async move { event.map(Ok::<_, Error>) }
    });
    Ok(Events(Box::pin(start.chain(more))))
}

/// What is shown of an event; usage and the end come with the whole.
fn delta(event: Event) -> Option<Value> {
    Some(match event {
        Event::Text(text) => json!({ "content": text }),
        Event::Refusal(text) => json!({ "refusal": text }),
        Event::ToolCall {
            index,
            id,
            name,
            arguments,
        } => {
            json!({ "tool_calls": [{ "index": index, "id": id, "name": name, "arguments": arguments }] })
        }
        Event::Usage(_) | Event::Finish(_) => return None,
    })
}
