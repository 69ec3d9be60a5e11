//! From the outbox to the objects: who is to be told what happened.

use super::queries::{ENDPOINT, owner_of};
use super::rights::{OWNER, RIGHTS, Rights};
use super::send_test::EVENT as TEST;
use super::{object, reports};
use crate::db::facts::Message;
use crate::db::sql;
use crate::error::Result;
use crate::run::Run;
use celaest_domain::license::rfc3339;
use celaest_domain::webhook;
use celaest_durable::webhook::{Endpoint, Event};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// What one statement finds for a batch.
#[derive(Deserialize)]
struct Audience {
    /// Webhooks that changed themselves.
    changed: Vec<Endpoint>,
    /// Webhooks with the events that they are to be told.
    matched: Vec<Match>,
}

#[derive(Deserialize)]
struct Match {
    endpoint: Endpoint,
    rights: Rights,
    events: Vec<About>,
}

/// An event, and whose thing it is about.
#[derive(Deserialize)]
struct About {
    id: Uuid,
    owner: Option<Uuid>,
}

/// The parts of a payload that name what it is about, for `owner_of`.
fn about_what(payload: &Value) -> Value {
    json!({
        "license": { "id": payload["license"]["id"] }, "license_id": payload["license_id"],
        "validation": { "license_id": payload["validation"]["license_id"] },
        "webhook": { "id": payload["webhook"]["id"] },
        "order": { "id": payload["order"]["id"] },
        "subscription": { "id": payload["subscription"]["id"] },
        "invoice": { "id": payload["invoice"]["id"] },
        "task": { "user_id": payload["task"]["user_id"] },
        "batch": { "user_id": payload["batch"]["user_id"] },
    })
}

/// The body of a delivery.
pub fn body(event_type: &str, at: DateTime<Utc>, data: &Value) -> String {
    let timestamp = rfc3339(at.timestamp_millis());
    json!({ "type": event_type, "timestamp": timestamp, "data": data }).to_string()
}

/// Hands a batch of events to the objects of the webhooks that subscribe to them, each object once. An
/// object ignores what it has already, so a batch may come again.
///
/// # Errors
/// When PostgreSQL or an object cannot be reached; the batch comes again then.
pub async fn fan_out(run: &Run, messages: &[Message]) -> Result<()> {
    let concerned: Vec<_> = messages
        .iter()
        .filter(|message| message.organization_id.is_some())
        .collect();
    if concerned.is_empty() {
        return Ok(());
    }
    let asked: Vec<_> = concerned
        .iter()
        .map(|message| {
            // A test is for the webhook that it names; other events may be about one.
            let about = message.payload["webhook"]["id"].as_str();
            json!({
                "id": message.id, "organization_id": message.organization_id, "topic": message.topic,
                "payload": about_what(&message.payload),
                "patterns": webhook::patterns(&message.topic),
                "target": about.filter(|_| message.topic == TEST),
                "changed": about.filter(|_| message.topic != TEST),
            })
        })
        .collect();
    let audience: Audience = run
        .begin()
        .only_value(
            sql(format!(
                "WITH event AS (
                   SELECT *, {owner} AS owner FROM jsonb_to_recordset($1::jsonb) AS e(
                     id uuid, organization_id uuid, topic text, payload jsonb, patterns jsonb, target text, changed text)
                 ), matched AS (
                   SELECT w.id, json_agg(json_build_object('id', e.id, 'owner', e.owner)) AS events
                   FROM event e JOIN webhooks w ON w.organization_id = e.organization_id
                   JOIN organizations o ON o.id = w.organization_id
                     AND (o.deleted_at IS NULL OR e.patterns->>0 = 'organization.deleted')
                   WHERE w.deleted_at IS NULL AND w.status IN ('active', 'paused')
                     AND CASE WHEN e.target IS NULL THEN w.events && ARRAY(SELECT jsonb_array_elements_text(e.patterns))
                         ELSE w.id::text = e.target END
                   GROUP BY w.id)
                 SELECT json_build_object(
                   'changed', (SELECT coalesce(json_agg({ENDPOINT}), '[]') FROM webhooks w
                     WHERE (w.id::text, w.organization_id) IN (SELECT changed, organization_id FROM event)),
                   'matched', (SELECT coalesce(json_agg(json_build_object(
                       'endpoint', {ENDPOINT}, 'rights', {RIGHTS}, 'events', m.events)), '[]')
                     FROM matched m JOIN webhooks w ON w.id = m.id {OWNER}))::text",
                owner = owner_of("e.topic", "e.payload")
            ))
            .bind(json!(asked)),
        )
        .await?;
    let bodies: HashMap<Uuid, (&str, String)> = concerned
        .iter()
        .map(|message| {
            let body = body(&message.topic, message.created_at, &message.payload);
            (message.id, (message.topic.as_str(), body))
        })
        .collect();
    let configured = audience
        .changed
        .iter()
        .map(|endpoint| object::configure(&run.env, endpoint));
    try_join_all(configured).await?;
    let (orphaned, matched): (Vec<_>, Vec<_>) = audience
        .matched
        .into_iter()
        .partition(|found| found.rights.is_orphaned());
    let orphaned: Vec<_> = orphaned.iter().map(|found| &found.endpoint).collect();
    reports::disable_orphans(run, &orphaned).await?;
    let told = matched.into_iter().map(|found| {
        let events = found.events.iter().filter_map(|about| {
            let (event_type, body) = bodies.get(&about.id)?;
            let carried = found.rights.carries(event_type, about.owner);
            carried.then(|| Event {
                id: about.id,
                event_type: (*event_type).to_owned(),
                body: body.clone(),
                replay: false,
                attempts_made: 0,
            })
        });
        object::enqueue(&run.env, found.endpoint, events.collect())
    });
    try_join_all(told).await.map(|_| ())
}
