//! `POST /api/telemetry`

use super::model::{Intake, MAX_BODY_BYTES, NewEvent, Taken};
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, TelemetryWrite};
use crate::http::reply::Accepted;
use crate::platform::{clock, queues};
use crate::settings::settings;
use celaest_domain::telemetry::happened;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// The queue's binding.
const QUEUE: &str = "TELEMETRY";
/// Events go to the queue in messages of about this size, in bytes; the queue takes 128 KB.
const MESSAGE_BYTES: usize = 64_000;

/// An event with what is fixed when it arrives, so that a message that is repeated writes it once.
#[derive(Serialize)]
struct Event<'a> {
    id: Uuid,
    created_at: DateTime<Utc>,
    #[serde(flatten)]
    event: &'a NewEvent,
}

/// Takes events in; they are written a moment later.
pub async fn intake(
    permit: Permit<TelemetryWrite>,
    Once(key, Body(body)): Once<Body<Intake, MAX_BODY_BYTES>>,
) -> Outcome<Accepted<Taken>> {
    let now = clock::now();
    let mut events = Vec::with_capacity(body.events.len());
    for (place, event) in body.events.iter().enumerate() {
        let created_at = happened(event.occurred_at.map(|at| at.0), now).ok_or_else(|| {
            let field = format!("events[{place}].occurred_at");
            Error::field(&field, "is not within the last 7 days")
        })?;
        events.push(Event {
            id: Uuid::new_v4(),
            created_at,
            event,
        });
    }
    if !settings().telemetry_enabled() {
        return Ok(Accepted::of(&Taken { accepted: 0 }));
    }
    let messages = messages(&permit, &events)?;
    let tx = permit.begin_once(key).await?;
    // Before the claim is committed: a queue that is away leaves none behind.
    queues::send(permit.call.env(), QUEUE, messages.into_iter()).await?;
    let accepted = events.len();
    permit.commit(tx, Accepted::of(&Taken { accepted })).await
}

/// The events as messages that the queue takes.
fn messages(permit: &Permit<TelemetryWrite>, events: &[Event<'_>]) -> Result<Vec<String>> {
    let mut messages = Vec::new();
    let mut waiting: Vec<String> = Vec::new();
    let mut bytes = 0;
    let message = |events: &[String]| {
        let head = json!({
            "organization_id": permit.principal.organization_id,
            "user_id": permit.principal.user_id,
            "ip_address": permit.call.ip,
            "user_agent": permit.call.user_agent,
        });
        format!(r#"{{"from":{head},"events":[{}]}}"#, events.join(","))
    };
    for event in events {
        let text = serde_json::to_string(event).map_err(Error::internal)?;
        if bytes + text.len() > MESSAGE_BYTES && !waiting.is_empty() {
            messages.push(message(&waiting));
            waiting.clear();
            bytes = 0;
        }
        bytes += text.len();
        waiting.push(text);
    }
    messages.push(message(&waiting));
    Ok(messages)
}
