//! The doors to the queues.

use crate::db::facts::{Actor, Mail, Message};
use crate::db::{Database, Scope, sql};
use crate::error::{Error, Result};
use serde_json::json;
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;
use worker::{BatchMessageBuilder, Env, QueueContentType, RawMessageBuilder};

/// What the platform takes at once: 100 messages and 256 KB, of which some is overhead.
const BATCH_MESSAGES: usize = 100;
const BATCH_BYTES: usize = 200_000;

/// Sends outbox messages to their queues and marks them as sent. Dying in between sends them again
/// later with the same ids.
///
/// # Errors
/// When the queue or the database refuses; the messages stay unsent then.
pub async fn publish(env: &Env, database: &Database, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let (mails, events): (Vec<&Message>, Vec<&Message>) = messages
        .iter()
        .partition(|message| message.topic == Mail::TOPIC);
    for (binding, messages) in [("EVENTS", events), ("EMAILS", mails)] {
        send(
            env,
            binding,
            messages.iter().map(|one| json!(one).to_string()),
        )
        .await?;
    }
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    database
        .begin(Scope::System, Actor::system("outbox"))
        .only_value::<Option<()>>(
            sql(
                "UPDATE outbox_messages SET sent_at = now(), attempts = attempts + 1
                 WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))",
            )
            .bind(json!(ids)),
        )
        .await?;
    Ok(())
}

/// Sends text messages to the queue of a binding.
///
/// # Errors
/// When the queue refuses; what was sent before stays sent.
pub async fn send(env: &Env, binding: &str, bodies: impl Iterator<Item = String>) -> Result<()> {
    let batches = batches(bodies);
    if batches.is_empty() {
        return Ok(());
    }
    SendFuture::new(async {
        let queue = env.queue(binding).map_err(Error::internal)?;
        for batch in batches {
            let batch = batch.into_iter().map(|body| {
                // Text, because maps inside a value would not survive the queue's own conversion.
                RawMessageBuilder::new(JsValue::from_str(&body))
                    .build_with_content_type(QueueContentType::Text)
            });
            let batch = batch
                .fold(BatchMessageBuilder::new(), BatchMessageBuilder::message)
                .build();
            queue
                .send_raw_batch(batch)
                .await
                .map_err(Error::unavailable)?;
        }
        Ok(())
    })
    .await
}

/// Bodies, grouped as the platform takes them.
fn batches(bodies: impl Iterator<Item = String>) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_MESSAGES && bytes + body.len() <= BATCH_BYTES => {
                bytes += body.len();
                batch.push(body);
            }
            _ => {
                bytes = body.len();
                batches.push(vec![body]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stay_within_both_limits() {
        let of = |count, size| {
            let bodies = (0..count).map(move |_| "x".repeat(size));
            batches(bodies).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(of(250, 10), [100, 100, 50]);
        assert_eq!(of(5, 90_000), [2, 2, 1]);
        assert!(of(0, 1).is_empty());
    }
}
