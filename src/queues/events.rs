//! What happened, from the outbox and the objects, to whoever has to know.

use crate::db::facts::Message;
use crate::db::outbox;
use crate::error::{Error, Result};
use crate::identity::callers;
use crate::modules::{ai, audit, licenses, users, webhooks};
use crate::run::{self, Run};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// What arrives: a message of the outbox, the name of one that is too large for the queue, or a report that
/// has no row there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Arrived {
    Message(Message),
    Named { outbox: Uuid },
    Report(Report),
}

/// What an object tells without a transaction of its own.
#[derive(Deserialize)]
struct Report {
    topic: String,
    payload: Value,
}

/// Deals with events. Each may come again: forgetting twice and raising a total twice change nothing.
///
/// # Errors
/// When somebody could not be told; the events come again then.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    let mut messages = Vec::with_capacity(bodies.len());
    let mut names = Vec::new();
    for body in bodies {
        match run::of(body)? {
            Arrived::Message(message) => messages.push(message),
            Arrived::Named { outbox } => names.push(outbox),
            Arrived::Report(report) if report.topic == "api_key.used" => {
                users::api_keys::used::write(run, &report.payload).await?;
            }
            Arrived::Report(report) if report.topic == "ai_pool.used" => {
                ai::pool::reports::write(run, &report.payload).await?;
            }
            Arrived::Report(report) => {
                return Err(Error::internal(format!("no consumer for {}", report.topic)));
            }
        }
    }
    messages.extend(outbox::named(&run.database, &names).await?);
    for message in &messages {
        callers::told(run, message).await?;
        licenses::notices::told(run, message).await?;
        licenses::many::told(run, message).await?;
        audit::acknowledge::told(run, message).await?;
        ai::pool::notices::told(run, message).await?;
    }
    webhooks::fan_out::fan_out(run, &messages).await?;
    run.processed(&messages).await
}
