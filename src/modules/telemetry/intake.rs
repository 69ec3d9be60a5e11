//! `POST /api/telemetry`

use super::model::{Intake, NewEvent, Taken};
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, TelemetryWrite};
use crate::http::reply::Accepted;
use crate::modules::settings::current::settings;
use crate::platform::{clock, queues};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// The queue's binding.
const QUEUE: &str = "TELEMETRY";
/// Events go to the queue in messages of about this size, in bytes; the queue takes 128 KB.
const MESSAGE_BYTES: usize = 64_000;
/// How old an event may be, and how far the clock of a program may be ahead.
const MAX_AGE: TimeDelta = TimeDelta::days(7);
const MAX_AHEAD: TimeDelta = TimeDelta::minutes(5);

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
    Once(idempotency, Body(body)): Once<Body<Intake>>,
) -> Result<Accepted<Taken>> {
    let now = clock::now();
    let mut events = Vec::with_capacity(body.events.len());
    for (place, event) in body.events.iter().enumerate() {
        events.push(Event {
            id: Uuid::new_v4(),
            created_at: happened(place, event, now)?,
            event,
        });
    }
    if !settings().telemetry_enabled() {
        return Ok(Accepted::of(&Taken { accepted: 0 }));
    }
    let reply = Accepted::of(&Taken {
        accepted: events.len(),
    });
    let messages = messages(&permit, &events)?;
    if !idempotency.is_set() {
        queues::send(permit.call.env(), QUEUE, messages.into_iter()).await?;
        return Ok(reply);
    }
    let mut tx = permit.begin();
    let caller = permit.caller();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    // In the claim's transaction: a queue that is away leaves no claim behind.
    queues::send(permit.call.env(), QUEUE, messages.into_iter()).await?;
    idempotency.settle(&mut tx, caller, &reply);
    permit.commit(tx).await?;
    Ok(reply)
}

/// When the event at `place` happened. What a fast clock dates to the next minutes happened now.
fn happened(place: usize, event: &NewEvent, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let Some(at) = event.occurred_at.map(|at| at.0) else {
        return Ok(now);
    };
    if at < now - MAX_AGE || at > now + MAX_AHEAD {
        let field = format!("events[{place}].occurred_at");
        return Err(Error::field(&field, "is not within the last 7 days"));
    }
    Ok(at.min(now))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::types::Moment;

    #[test]
    fn events_are_recent() {
        let now = clock::now();
        let event = |at: Option<DateTime<Utc>>| -> NewEvent {
            let text = at.map(|at| at.to_rfc3339());
            let value = json!({ "event_type": "t", "event_name": "n", "occurred_at": text });
            serde_json::from_value(value).unwrap()
        };
        let of = |at: Option<DateTime<Utc>>| happened(0, &event(at), now).ok();
        assert_eq!(of(None), Some(now));
        assert_eq!(of(Some(now - MAX_AGE)), Some(now - MAX_AGE));
        assert_eq!(of(Some(now - MAX_AGE - TimeDelta::seconds(1))), None);
        assert_eq!(of(Some(now + MAX_AHEAD)), Some(now));
        assert_eq!(of(Some(now + MAX_AHEAD + TimeDelta::seconds(1))), None);
        assert_eq!(event(Some(now)).occurred_at, Some(Moment(now)));
    }
}
