//! What happens to messages: which queue is whose.
//!
//! Messages arrive at least once and in any order. Each is acknowledged on its own, so a bad one goes
//! its way to the dead letters without its neighbours.

mod dead;
mod events;

use crate::error::{Code, Error, Result};
use crate::log;
use crate::mail;
use crate::modules::{ai, licenses, telemetry, webhooks};
use crate::platform::clock;
use crate::run::Run;
use dead::Letter;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use worker::{Context, Env, MessageBatch, MessageExt, QueueRetryOptionsBuilder, RawMessage};

/// Pauses of a message that could not be dealt with, in seconds: a tenth of its age, within these. With the
/// 100 retries of `wrangler.toml` it outlasts half a day without PostgreSQL.
const PAUSE_S: (i64, i64) = (10, 600);
/// The same in the dead-letter queue, which has nothing behind it: two days and more.
const DEAD_PAUSE_S: (i64, i64) = (60, 1_800);
/// Age in milliseconds after which a message is a dead letter that fails for a reason of its own, and not
/// because something is away.
const POISON_MS: i64 = 300_000;
/// What a dead-letter queue is called after its queue.
const DEAD: &str = "-dead";

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
    "celaest-ai-tasks",    true  => ai::tasks::drain::consume;
    "celaest-ai-records",  true  => ai::records::consume;
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
    let now = clock::now_ms();
    let messages: Vec<Taken> = batch.raw_iter().map(Taken::new).collect();
    let bodies: Vec<&str> = messages.iter().map(|taken| taken.body.as_str()).collect();
    if let Some(origin) = queue.strip_suffix(DEAD) {
        let letter = |taken: &Taken| {
            Letter::new(
                &taken.body,
                "its retries came to their end",
                taken.queued_at,
            )
        };
        let letters: Vec<_> = messages.iter().map(letter).collect();
        let outcome = dead::keep(&run, origin, &letters).await;
        for taken in &messages {
            taken.settle(&run, &outcome, pause(taken.queued_at, now, DEAD_PAUSE_S));
        }
        run.database.close();
        return Ok(());
    }
    let consumer = CONSUMERS.iter().find(|consumer| consumer.queue == queue);
    // If the whole fails, one by one, so that only the bad one comes back.
    let together = match consumer {
        Some(consumer) if consumer.together => (consumer.consume)(&run, &bodies).await.is_ok(),
        _ => false,
    };
    for taken in &messages {
        let outcome = match consumer {
            _ if together => Ok(()),
            Some(consumer) => (consumer.consume)(&run, &[&taken.body]).await,
            None => Err(Error::internal(format!("no consumer for queue {queue}"))),
        };
        let outcome = match outcome {
            Err(error) if is_poison(&error, taken.queued_at, now) => {
                let reason = error.cause.as_deref().unwrap_or(error.code.as_str());
                let letter = Letter::new(&taken.body, reason, taken.queued_at);
                log::error(&run.name, "a message is a dead letter now", &error);
                dead::keep(&run, &queue, &[letter]).await
            }
            outcome => outcome,
        };
        taken.settle(&run, &outcome, pause(taken.queued_at, now, PAUSE_S));
    }
    run.database.close();
    Ok(())
}

/// A message of a batch.
struct Taken {
    message: RawMessage,
    body: String,
    /// When the queue took it, in Unix milliseconds.
    queued_at: i64,
}

impl Taken {
    fn new(message: RawMessage) -> Self {
        Self {
            // Everything is sent as text; anything else fails to parse and goes its way.
            body: message.body().as_string().unwrap_or_default(),
            queued_at: message.timestamp().as_millis() as i64,
            message,
        }
    }

    fn settle(&self, run: &Run, outcome: &Result<()>, pause_s: u32) {
        match outcome {
            Ok(()) => self.message.ack(),
            Err(error) => {
                log::warn(&run.name, "a message comes back", error);
                let delay = error.retry_after.unwrap_or(0).max(pause_s);
                let options = QueueRetryOptionsBuilder::new()
                    .with_delay_seconds(delay)
                    .build();
                self.message.retry_with_options(&options);
            }
        }
    }
}

/// How long a message waits before it is tried again, in seconds.
fn pause(queued_at: i64, now: i64, (shortest, longest): (i64, i64)) -> u32 {
    let tenth = (now - queued_at) / 10_000;
    u32::try_from(tenth.clamp(shortest, longest)).unwrap_or_default()
}

/// Whether nothing but the message itself can be the reason.
fn is_poison(error: &Error, queued_at: i64, now: i64) -> bool {
    error.code != Code::Unavailable && now - queued_at >= POISON_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_message_waits_longer_and_outlasts_an_outage() {
        assert_eq!(pause(0, 5_000, PAUSE_S), 10);
        assert_eq!(pause(0, 1_000_000, PAUSE_S), 100);
        assert_eq!(pause(10, 0, PAUSE_S), 10);
        let lasts =
            |bounds| (0..100).fold(0, |age, _| age + i64::from(pause(0, age * 1_000, bounds)));
        assert!(lasts(PAUSE_S) > 6 * 3_600, "{}", lasts(PAUSE_S));
        assert!(lasts(DEAD_PAUSE_S) > 24 * 3_600, "{}", lasts(DEAD_PAUSE_S));
    }

    #[test]
    fn what_is_away_makes_no_dead_letter() {
        let away = Error::unavailable("x");
        let wrong = Error::internal("x");
        assert!(!is_poison(&away, 0, i64::MAX));
        assert!(!is_poison(&wrong, 0, POISON_MS - 1) && is_poison(&wrong, 0, POISON_MS));
    }

    #[test]
    fn every_queue_of_the_worker_has_a_consumer_and_its_dead_letters_too() {
        let manifest = include_str!("../../wrangler.toml");
        for consumer in CONSUMERS {
            let queue = format!("queue = \"{}\"\nmax_batch_size", consumer.queue);
            let dead = format!("queue = \"{}{DEAD}\"\nmax_batch_size", consumer.queue);
            assert!(
                manifest.contains(&queue) && manifest.contains(&dead),
                "{}",
                consumer.queue
            );
        }
    }
}
