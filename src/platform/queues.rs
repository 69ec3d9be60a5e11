//! The doors to the queues.

use crate::db::facts::{Actor, Message};
use crate::db::{Database, Scope, sql};
use crate::error::{Error, Result};
use serde_json::json;
use worker::send::SendFuture;
use worker::wasm_bindgen::JsValue;
use worker::{BatchMessageBuilder, Env, QueueContentType, RawMessageBuilder};

/// What the platform takes at once: 100 messages and 256 KB, of which some is overhead.
const BATCH_MESSAGES: usize = 100;
const BATCH_BYTES: usize = 200_000;

/// Sends outbox messages to the event queue and marks them as sent. Dying in between sends them again
/// later with the same ids.
///
/// # Errors
/// When the queue or the database refuses; the messages stay unsent then.
pub async fn publish(env: &Env, database: &Database, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    SendFuture::new(async {
        let queue = env.queue("EVENTS").map_err(Error::internal)?;
        for batch in batches(messages) {
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
        Ok::<(), Error>(())
    })
    .await?;
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    database
        .begin(Scope::System, Actor::system("outbox"))
        .only_value::<Option<()>>(
            sql("UPDATE outbox_messages SET sent_at = now(), attempts = attempts + 1
                 WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb)) AND sent_at IS NULL")
            .bind(json!(ids)),
        )
        .await?;
    Ok(())
}

/// The bodies of `messages`, grouped as the platform takes them.
fn batches(messages: &[Message]) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let body = json!(message).to_string();
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
    use uuid::Uuid;

    #[test]
    fn batches_stay_within_both_limits() {
        let message = |size: usize| Message {
            id: Uuid::nil(),
            organization_id: None,
            topic: "license.updated".into(),
            payload: json!("x".repeat(size)),
        };
        let small: Vec<_> = (0..250).map(|_| message(10)).collect();
        assert_eq!(
            batches(&small).iter().map(Vec::len).collect::<Vec<_>>(),
            [100, 100, 50]
        );
        let large: Vec<_> = (0..5).map(|_| message(90_000)).collect();
        assert_eq!(
            batches(&large).iter().map(Vec::len).collect::<Vec<_>>(),
            [2, 2, 1]
        );
        assert!(batches(&[]).is_empty());
    }
}
