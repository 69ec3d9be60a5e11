//! The way of outbox rows to their queues.

use super::facts::{Actor, Mail, Message};
use super::{Database, Scope, sql};
use crate::error::Result;
use crate::platform::queues::send;
use serde_json::json;
use worker::Env;

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
        .only_execute(
            sql(
                "UPDATE outbox_messages SET sent_at = now(), attempts = attempts + 1
                 WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))",
            )
            .bind(json!(ids)),
        )
        .await
}

/// Notes that these messages were dealt with: the sweep leaves them alone from now on.
///
/// # Errors
/// When the database fails; the messages come again then.
pub async fn processed(database: &Database, run: &str, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    database
        .begin(Scope::System, Actor::system(run))
        .only_execute(
            sql("UPDATE outbox_messages SET processed_at = now()
                 WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb)) AND processed_at IS NULL")
            .bind(json!(ids)),
        )
        .await
}
