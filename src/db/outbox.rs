//! The way of outbox rows to their queues.
//!
//! `available_at` says when a row is sent next: ten seconds after it was written, until then it is its
//! request's business; then again and again, less and less often, until a consumer says that it was dealt
//! with; and in the end it is a dead letter.

use super::facts::{Actor, Mail, Message};
use super::{Database, Scope, sql};
use crate::error::Result;
use crate::platform::queues::send;
use serde_json::json;
use uuid::Uuid;
use worker::Env;

/// The queue takes 128,000 bytes. What is larger goes there by its name only.
pub const MOST_BYTES: usize = 120_000;
/// How often a row is sent before it is a dead letter: with the pauses between, for about a day.
pub const MOST_ATTEMPTS: u32 = 30;

/// The rows that one queue takes, as conditions on `o`.
pub const QUEUES: [(&str, &str); 3] = [
    (
        "celaest-events",
        "o.topic NOT IN ('email.send', 'ai.tasks.queued')",
    ),
    ("celaest-emails", "o.topic = 'email.send'"),
    ("celaest-ai-tasks", "o.topic = 'ai.tasks.queued'"),
];

/// The topic of calls to do AI tasks.
pub const TASKS: &str = "ai.tasks.queued";

/// The binding of the queue of a topic.
fn binding(topic: &str) -> &'static str {
    match topic {
        Mail::TOPIC => "EMAILS",
        TASKS => "AI_TASKS",
        _ => "EVENTS",
    }
}

/// Sends outbox messages to their queues and notes what became of them. Dying in between sends them again
/// later with the same ids; a queue that is away holds up no other.
///
/// # Errors
/// When a queue or the database refuses; the messages come again then.
pub async fn publish(env: &Env, database: &Database, messages: &[Message]) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut outcome = Ok(());
    let mut noted = Vec::with_capacity(messages.len());
    for queue in ["EVENTS", "EMAILS", "AI_TASKS"] {
        let mine = |message: &&Message| binding(&message.topic) == queue;
        let messages: Vec<_> = messages.iter().filter(mine).collect();
        let sent = send(env, queue, messages.iter().map(|one| on_the_wire(one))).await;
        let error = sent.as_ref().err().and_then(|error| error.cause.clone());
        let failed = sent.is_err();
        noted.extend(
            messages
                .iter()
                .map(|one| json!({ "id": one.id, "failed": failed, "error": error })),
        );
        outcome = outcome.and(sent);
    }
    note(database, json!(noted)).await?;
    outcome
}

/// What the queue gets of a message.
fn on_the_wire(message: &Message) -> String {
    let text = json!(message).to_string();
    match text.len() {
        ..=MOST_BYTES => text,
        _ => json!({ "outbox": message.id }).to_string(),
    }
}

/// Sent ones come again after a minute, two, four, … at most an hour; others soon. They are found by their ids, and not
/// among all that are open, which the index of those suggests.
async fn note(database: &Database, outcomes: serde_json::Value) -> Result<()> {
    let query = sql(
        "UPDATE outbox_messages o SET
           sent_at = CASE WHEN n.failed THEN o.sent_at ELSE now() END,
           attempts = o.attempts + CASE WHEN n.failed THEN 0 ELSE 1 END,
           last_error = left(n.error, 1000),
           available_at = now() + CASE WHEN n.failed THEN interval '30 seconds'
             ELSE least(make_interval(secs => 60 * 2.0 ^ least(o.attempts, 6)), interval '1 hour') END
         FROM jsonb_to_recordset($1::jsonb) AS n(id uuid, failed boolean, error text)
         WHERE o.id = n.id AND coalesce(o.processed_at, 'infinity') = 'infinity'
           AND o.id = ANY (ARRAY(SELECT (value->>'id')::uuid FROM jsonb_array_elements($1::jsonb)))",
    );
    database
        .begin(Scope::System, Actor::system("outbox"))
        .only_execute(query.bind(outcomes))
        .await
}

/// The messages of rows that came by their names.
///
/// # Errors
/// When the database fails.
pub async fn named(database: &Database, ids: &[Uuid]) -> Result<Vec<Message>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = sql(
        "SELECT id, organization_id, topic, payload, created_at FROM outbox_messages
         WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))",
    );
    database
        .begin(Scope::System, Actor::system("outbox"))
        .only_rows(query.bind(json!(ids)))
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
            sql("UPDATE outbox_messages SET processed_at = coalesce(processed_at, now())
                 WHERE id = ANY (ARRAY(SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb)))")
            .bind(json!(ids)),
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn what_the_queue_does_not_take_goes_by_its_name() {
        let message = |size: usize| Message {
            id: Uuid::nil(),
            organization_id: None,
            topic: "license.updated".into(),
            payload: json!({ "text": "x".repeat(size) }),
            created_at: DateTime::UNIX_EPOCH,
        };
        assert!(on_the_wire(&message(100)).contains("license.updated"));
        assert_eq!(
            on_the_wire(&message(MOST_BYTES)),
            format!(r#"{{"outbox":"{}"}}"#, Uuid::nil())
        );
    }
}
