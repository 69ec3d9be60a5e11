//! `POST /api/webhooks/{id}/test`

use super::model::{Nothing, Queued};
use super::queries;
use crate::db::facts::{Action, Fact};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::Accepted;
use serde_json::{Value, json};
use uuid::Uuid;

/// The event, sent to the one webhook that its payload names.
pub const EVENT: &str = "webhook.test";

/// Sends a test event to this webhook and no other.
pub async fn send_test(
    permit: Permit<WebhooksWrite>,
    Id(id): Id,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Accepted<Queued>> {
    let mut tx = permit.begin_once(key).await?;
    let webhook = queries::lock(&mut tx, id).await?;
    webhook.active()?;
    let event_id = Uuid::new_v4();
    let fact = Fact {
        organization_id: Some(webhook.organization_id),
        action: Action::Create,
        event: EVENT,
        resource_type: "webhook",
        resource_id: id,
        changes: Value::Null,
        payload: Some(json!({ "webhook": { "id": id } })),
    };
    tx.record_as(event_id, fact);
    permit.commit(tx, Accepted::of(&Queued { event_id })).await
}
