//! What happens to messages: which queue is whose.
//!
//! Messages arrive at least once and in any order. Each is acknowledged on its own, so a bad one goes
//! its way to the dead-letter queue without its neighbours.

mod events;

use crate::error::{Error, Result};
use crate::log;
use crate::modules::{licenses, telemetry, webhooks};
use crate::run::Run;
use crate::mail;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use worker::{Context, Env, MessageBatch, MessageExt, QueueRetryOptionsBuilder, RawMessage};

/// Pause of a message that could not be dealt with, in seconds. With the 100 retries of `wrangler.toml` it
/// waits for a quarter of an hour before it goes to the dead-letter queue.
const AWAY_DELAY_S: u32 = 10;

/// Deals with bodies of one queue, all or none.
type Consume = for<'a> fn(&'a Run, &'a [&'a str]) -> LocalBoxFuture<'a, Result<()>>;

/// A queue's consumer.
struct Consumer {
    queue: &'static str,
    /// A batch is one statement; others go message by message from the start.
    together: bool,
    consume: Consume,
}

macro_rules! consumers {
    ($($queue:literal, $together:expr => $consume:path;)*) => {
        const CONSUMERS: &[Consumer] = &[$(Consumer {
            queue: $queue,
            together: $together,
            consume: |run, bodies| Box::pin($consume(run, bodies)),
        },)*];
    };
}

consumers! {
    "celaest-events",      true  => events::consume;
    "celaest-emails",      false => mail::consume;
    "celaest-validations", true  => licenses::write_log::consume;
    "celaest-deliveries",  true  => webhooks::reports::consume;
    "celaest-telemetry",   true  => telemetry::write::consume;
}

/// Runs a batch. Errors never leave: they would send back the whole batch.
///
/// # Errors
/// Only when the platform fails.
pub async fn run(
    batch: MessageBatch<serde_json::Value>,
    env: Env,
    context: Context,
) -> worker::Result<()> {
    let queue = batch.queue();
    let background = Rc::new(move |work| context.wait_until(work));
    let run = Run::new(env, background, format!("queue:{queue}"));
    let messages: Vec<(RawMessage, String)> = batch
        .raw_iter()
        .map(|message| {
            // Everything is sent as text; anything else fails to parse and goes its way.
            let body = message.body().as_string().unwrap_or_default();
            (message, body)
        })
        .collect();
    let bodies: Vec<&str> = messages.iter().map(|(_, body)| body.as_str()).collect();
    let consumer = CONSUMERS.iter().find(|consumer| consumer.queue == queue);
    // If the whole fails, one by one, so that only the bad one comes back.
    let together = match consumer {
        Some(consumer) if consumer.together => (consumer.consume)(&run, &bodies).await.is_ok(),
        _ => false,
    };
    for (message, body) in &messages {
        let outcome = match consumer {
            _ if together => Ok(()),
            Some(consumer) => (consumer.consume)(&run, &[body]).await,
            None => Err(Error::internal(format!("no consumer for queue {queue}"))),
        };
        settle(&run, message, outcome);
    }
    run.database.close();
    Ok(())
}

fn settle(run: &Run, message: &RawMessage, outcome: Result<()>) {
    match outcome {
        Ok(()) => message.ack(),
        Err(error) => {
            log::warn(&run.name, "a message comes back", &error);
            // What is away, or wrong, stays so for a while.
            let delay = error.retry_after.unwrap_or(0).max(AWAY_DELAY_S);
            let options = QueueRetryOptionsBuilder::new()
                .with_delay_seconds(delay)
                .build();
            message.retry_with_options(&options);
        }
    }
}
