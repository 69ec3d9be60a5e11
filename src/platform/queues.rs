//! The doors to the queues.

use crate::error::{Error, Result};
use worker::wasm_bindgen::JsValue;
use worker::{BatchMessageBuilder, Env, QueueContentType, RawMessageBuilder};

/// What the platform takes at once: 100 messages and 256 KB, of which some is overhead.
const BATCH_MESSAGES: usize = 100;
const BATCH_BYTES: usize = 200_000;
/// What the platform takes as one message, in bytes.
pub const MESSAGE_BYTES: usize = 128_000;
/// The longest that the platform holds a message back, in seconds.
const MOST_DELAY_S: u32 = 43_200;

/// The queues by name, with their bindings.
const BINDINGS: [(&str, &str); 7] = [
    ("celaest-validations", "VALIDATIONS"),
    ("celaest-events", "EVENTS"),
    ("celaest-emails", "EMAILS"),
    ("celaest-telemetry", "TELEMETRY"),
    ("celaest-deliveries", "DELIVERIES"),
    ("celaest-ai-tasks", "AI_TASKS"),
    ("celaest-ai-records", "AI_RECORDS"),
];

/// The binding of a queue.
pub fn binding_of(queue: &str) -> Option<&'static str> {
    let mut known = BINDINGS.iter();
    known
        .find(|(name, _)| *name == queue)
        .map(|(_, binding)| *binding)
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
}

/// Sends a text message that arrives after so many seconds, at most twelve hours.
///
/// # Errors
/// When the queue refuses.
pub async fn send_later(env: &Env, binding: &str, body: String, delay_s: u32) -> Result<()> {
    let queue = env.queue(binding).map_err(Error::internal)?;
    let message = RawMessageBuilder::new(JsValue::from_str(&body))
        .delay_seconds(delay_s.min(MOST_DELAY_S))
        .build_with_content_type(QueueContentType::Text);
    queue.send_raw(message).await.map_err(Error::unavailable)
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
    fn the_queues_are_those_of_the_worker() {
        let manifest = include_str!("../../wrangler.toml");
        for (queue, binding) in BINDINGS {
            let producer = format!("binding = \"{binding}\"\nqueue = \"{queue}\"");
            assert!(manifest.contains(&producer), "{queue}");
        }
        assert_eq!(
            manifest.matches("[[queues.producers]]").count(),
            BINDINGS.len()
        );
        assert_eq!(binding_of("x"), None);
    }

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
