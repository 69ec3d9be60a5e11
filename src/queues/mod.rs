//! What happens to messages: one file per kind, with what it carries and `run`.
//!
//! Messages arrive at least once and in any order. Each is acknowledged on its own, so a bad one goes
//! its way to the dead-letter queue without its neighbours.

pub mod deliveries;
pub mod emails;
pub mod events;
pub mod telemetry;
pub mod validations;

use crate::db::facts::{Actor, Message};
use crate::db::{Database, Scope, sql};
use crate::error::{Error, Result};
use crate::log;
use serde_json::json;
use std::rc::Rc;
use worker::{Context, Env, MessageBatch, MessageExt, QueueRetryOptionsBuilder, RawMessage};

/// Pause of a message that could not be dealt with, in seconds. With the 100 retries of `wrangler.toml` it
/// waits for a quarter of an hour before it goes to the dead-letter queue.
const AWAY_DELAY_S: u32 = 10;

/// One batch on its way.
pub struct Delivery {
    /// The bindings.
    pub env: Env,
    /// PostgreSQL, one connection for the batch.
    pub database: Database,
    /// For the log and the audit rows.
    pub run: String,
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
    let database = Database::new(&env, Rc::new(move |work| context.wait_until(work)));
    let delivery = Delivery {
        env,
        database,
        run: format!("queue:{queue}"),
    };
    let messages: Vec<(RawMessage, String)> = batch
        .raw_iter()
        .map(|message| {
            // Everything is sent as text; anything else fails to parse and goes its way.
            let body = message.body().as_string().unwrap_or_default();
            (message, body)
        })
        .collect();
    let bodies: Vec<&str> = messages.iter().map(|(_, body)| body.as_str()).collect();
    // One statement for the batch; if that fails, one for each, so that only the bad one comes back.
    // E-mails go one by one from the start: each is a request of its own.
    let together = match queue.as_str() {
        emails::QUEUE => None,
        _ => Some(dispatch(&queue, &delivery, &bodies).await),
    };
    match together {
        Some(Ok(())) => messages.iter().for_each(|(message, _)| message.ack()),
        Some(Err(error)) if messages.len() == 1 => messages
            .iter()
            .for_each(|(message, _)| settle(&delivery, message, Err(error.clone()))),
        _ => {
            for (message, body) in &messages {
                settle(
                    &delivery,
                    message,
                    dispatch(&queue, &delivery, &[body]).await,
                );
            }
        }
    }
    delivery.database.close();
    Ok(())
}

fn settle(delivery: &Delivery, message: &RawMessage, outcome: Result<()>) {
    match outcome {
        Ok(()) => message.ack(),
        Err(error) => {
            log::warn(&delivery.run, "a message comes back", &error);
            // What is away, or wrong, stays so for a while.
            let delay = error.retry_after.unwrap_or(0).max(AWAY_DELAY_S);
            let options = QueueRetryOptionsBuilder::new()
                .with_delay_seconds(delay)
                .build();
            message.retry_with_options(&options);
        }
    }
}

/// Notes that these messages of the outbox were dealt with: the sweep leaves them alone from now on.
///
/// # Errors
/// When the database fails; the messages come again then.
pub async fn processed(delivery: &Delivery, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    delivery
        .database
        .begin(Scope::System, Actor::system(&delivery.run))
        .only_value::<Option<()>>(
            sql("UPDATE outbox_messages SET processed_at = now()
                 WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb)) AND processed_at IS NULL")
            .bind(json!(ids)),
        )
        .await
        .map(|_| ())
}

async fn dispatch(queue: &str, delivery: &Delivery, bodies: &[&str]) -> Result<()> {
    match queue {
        validations::QUEUE => validations::run(delivery, bodies).await,
        events::QUEUE => events::run(delivery, bodies).await,
        emails::QUEUE => {
            for body in bodies {
                emails::run(delivery, body).await?;
            }
            Ok(())
        }
        deliveries::QUEUE => deliveries::run(delivery, bodies).await,
        telemetry::QUEUE => telemetry::run(delivery, bodies).await,
        other => Err(Error::internal(format!("no consumer for queue {other}"))),
    }
}
