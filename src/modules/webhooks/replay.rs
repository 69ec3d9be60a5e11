//! `POST /api/webhooks/{id}/deliveries/{inner_id}/replay` and `POST /api/webhooks/{id}/replay`

use super::fan_out::body;
use super::model::{Nothing, Queued, ReplaySince, Replayed};
use super::queries::{Locked, PAYLOAD, owner_of};
use super::send_test::EVENT as TEST;
use super::{object, queries, rights};
use crate::db::facts::{Action, Fact, Mail};
use crate::db::{Rows, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Ids};
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::Accepted;
use crate::platform::clock;
use celaest_domain::webhook;
use celaest_durable::webhook::Event;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Events of one page.
const PAGE: usize = 200;
/// Pages of one request.
const PAGES: usize = 25;

/// An event of the past.
#[derive(Deserialize)]
struct Past {
    id: Uuid,
    event_type: String,
    created_at: DateTime<Utc>,
    data: Value,
    /// Whose thing it is about.
    owner: Option<Uuid>,
    attempts_made: u32,
}

impl Past {
    fn event(self) -> Event {
        Event {
            id: self.id,
            body: body(&self.event_type, self.created_at, &self.data),
            event_type: self.event_type,
            replay: true,
            attempts_made: self.attempts_made,
        }
    }
}

/// What there still is of a delivery.
#[derive(Deserialize)]
struct Delivery {
    /// Its event, as long as what was sent is kept.
    past: Option<Past>,
}

/// The columns of [`Past`] for a delivery. Without what was sent there is nothing to send again.
fn delivered() -> String {
    let (payload, owner) = (PAYLOAD, owner_of("d.event_type", "p.payload->'data'"));
    format!(
        "d.event_id AS id, d.event_type, (p.payload->>'timestamp')::timestamptz AS created_at,
         p.payload->'data' AS data, {owner} AS owner,
         (SELECT max(attempt_number) FROM webhook_deliveries a
          WHERE a.webhook_id = d.webhook_id AND a.event_id = d.event_id) AS attempts_made
         FROM (SELECT {payload} AS payload) AS p WHERE p.payload IS NOT NULL"
    )
}

/// Sends the event of a delivery again, with its id and all its attempts anew.
pub async fn one(
    permit: Permit<WebhooksWrite>,
    Ids(id, delivery_id): Ids,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Accepted<Queued>> {
    let mut tx = permit.begin_once(key).await?;
    let webhook = active(&mut tx, id).await?;
    let delivery = Rows::of("webhook_deliveries", "d")
        .when("d.webhook_id = {}::uuid", Some(webhook.id))
        .when(
            "d.organization_id = {}::uuid",
            Some(webhook.organization_id),
        )
        .id(delivery_id);
    let query = delivery.read("d.*").wrapped(|found| {
        format!(
            "SELECT (SELECT row_to_json(r) FROM (SELECT {}) AS r) AS past FROM ({found}) AS d",
            delivered()
        )
    });
    let Delivery { past } = tx.one(query, Code::NotFound).await?;
    let past = past.ok_or(Code::DeliveryGone)?;
    let rights = rights::of(&mut tx, &webhook).await?;
    if !rights.carries(&past.event_type, past.owner) {
        return Err(Code::NotFound.into());
    }
    let event_id = past.id;
    let endpoint = object::endpoint(&mut tx, id).await?;
    tx.record(fact(&webhook, json!({ "event_id": event_id })));
    // Handed over first: sending what nobody asked for twice does no harm, forgetting it would.
    permit.call.count_object_call();
    object::enqueue(permit.call.env(), endpoint, vec![past.event()]).await?;
    permit.commit(tx, Accepted::of(&Queued { event_id })).await
}

/// Sends every event again that the webhook subscribes to and that happened since a moment.
pub async fn since(
    permit: Permit<WebhooksWrite>,
    Id(id): Id,
    Once(key, Body(ReplaySince { since, after })): Once<Body<ReplaySince>>,
) -> Outcome<Accepted<Replayed>> {
    webhook::can_replay(since.0, clock::now()).map_err(|why| Error::field("since", why))?;
    let mut tx = permit.begin_once(key).await?;
    let webhook = active(&mut tx, id).await?;
    let rights = rights::of(&mut tx, &webhook).await?;
    let endpoint = object::endpoint(&mut tx, id).await?;
    let mut replayed = Replayed {
        events: 0,
        continue_since: None,
        continue_after: None,
    };
    let mut past = (since.0, after.map_or(Uuid::nil(), |event| event.0));
    for page in 1.. {
        let found = page_of(&mut tx, &webhook, past).await?;
        let full = found.len() == PAGE;
        if let Some(last) = found.last() {
            past = (last.created_at, last.id);
        }
        let events: Vec<_> = found
            .into_iter()
            .filter(|past| webhook::is_subscribed(&webhook.events, &past.event_type))
            .filter(|past| rights.carries(&past.event_type, past.owner))
            .map(Past::event)
            .collect();
        replayed.events += events.len() as u64;
        if !events.is_empty() {
            permit.call.count_object_call();
            object::enqueue(permit.call.env(), endpoint.clone(), events).await?;
        }
        if !full {
            break;
        }
        if page == PAGES {
            replayed.continue_since = Some(past.0.to_rfc3339());
            replayed.continue_after = Some(past.1);
            break;
        }
    }
    let asked = json!({ "since": since, "events": replayed.events });
    tx.record(fact(&webhook, asked));
    permit.commit(tx, Accepted::of(&replayed)).await
}

async fn active(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let webhook = queries::lock(tx, id).await?;
    webhook.active()?;
    Ok(webhook)
}

/// The organization's next events, in the order they happened.
async fn page_of(
    tx: &mut Tx,
    webhook: &Locked,
    (at, id): (DateTime<Utc>, Uuid),
) -> Result<Vec<Past>> {
    tx.rows(
        sql(format!("SELECT o.id, o.topic AS event_type, o.created_at, o.payload AS data, {owner} AS owner,
               coalesce((SELECT max(attempt_number) FROM webhook_deliveries d
                         WHERE d.webhook_id = $2::uuid AND d.event_id = o.id), 0) AS attempts_made
             FROM outbox_messages o
             WHERE o.organization_id = $1::uuid AND (o.created_at, o.id) > ($3::timestamptz, $4::uuid)
               AND o.topic NOT IN ($5, $6)
             ORDER BY o.created_at, o.id LIMIT $7::bigint", owner = owner_of("o.topic", "o.payload")))
        .bind(webhook.organization_id)
        .bind(webhook.id)
        .bind(at)
        .bind(id)
        .bind(Mail::TOPIC)
        .bind(TEST)
        .bind(PAGE),
    )
    .await
}

fn fact(webhook: &Locked, asked: Value) -> Fact {
    Fact {
        organization_id: Some(webhook.organization_id),
        action: Action::Update,
        event: "webhook.replayed",
        resource_type: "webhook",
        resource_id: webhook.id,
        changes: json!({ "before": {}, "after": asked }),
        payload: None,
    }
}
