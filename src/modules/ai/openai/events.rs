//! An answer piece by piece, in OpenAI's chunks.

use super::model::{OpenAiUsage, id};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::http::reply::Events;
use crate::modules::ai::engine::{self, Ask, Piece, Streaming};
use celaest_domain::ai::wire::Event;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::rc::Rc;

/// What ends a stream that has come to its end.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Asks, and makes chunks of what comes.
///
/// # Errors
/// Why there is no answer, as long as no content came.
pub async fn of(call: &Rc<Call>, ask: Ask, shows_usage: bool) -> Result<Events> {
    let Streaming {
        call: answered,
        model,
        pieces,
        ..
    } = engine::stream(call, ask).await?;
    let created = call.started_ms / 1_000;
    let chunk = move |choices: Value, usage: Option<OpenAiUsage>| {
        let mut chunk = json!({
            "id": id(answered), "object": "chat.completion.chunk", "created": created, "model": model,
            "choices": choices,
        });
        if shows_usage {
            chunk["usage"] = json!(usage);
        }
        Events::event(None, &chunk)
    };
    let choice = |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    let first = chunk(
        choice(json!({ "role": "assistant", "content": "" }), None),
        None,
    );
    let call = call.clone();
    let more = pieces.map(move |piece| {
        Ok::<_, Error>(match piece {
            Piece::Event(event) => match delta(event) {
                Some(delta) => chunk(choice(delta, None), None),
                None => Vec::new(),
            },
            Piece::End(completion) => {
                let answer = completion.answer;
                // The clients' own helpers keep what they do not know, and send it back with the functions' results.
                let last = match &answer.replay {
                    Some(replay) => json!({ "replay": replay }),
                    None => json!({}),
                };
                let mut bytes = chunk(choice(last, Some(answer.finish.as_str())), None);
                if shows_usage {
                    bytes.extend(chunk(json!([]), answer.usage.map(OpenAiUsage::from)));
                }
                bytes.extend_from_slice(DONE);
                bytes
            }
            Piece::Failed(error) => {
                let object = error.openai_object(call.language, &call.request_id);
                Events::event(None, &json!({ "error": object }))
            }
        })
    });
    let some = |piece: &Result<Vec<u8>>| {
        let empty = piece.as_ref().is_ok_and(Vec::is_empty);
        async move { !empty }
    };
    Ok(Events(Box::pin(
        stream::iter([Ok(first)]).chain(more).filter(some),
    )))
}

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
            let mut function = json!({ "arguments": arguments });
            if let Some(name) = name {
                function["name"] = name.into();
            }
            let mut call = json!({ "index": index, "function": function });
            if let Some(id) = id {
                call["id"] = id.into();
                call["type"] = "function".into();
            }
            json!({ "tool_calls": [call] })
        }
        Event::Usage(_) | Event::Finish(_) => return None,
    })
}
