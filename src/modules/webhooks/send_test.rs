//! `POST /api/webhooks/{id}/test`

use super::model::{Nothing, Queued, Status};
use super::queries;
use crate::db::facts::{Action, Fact};
use crate::error::{Code, Result};
use crate::http::body::Body;
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
    Once(idempotency, Body(Nothing {})): Once<Body<Nothing>>,
) -> Result<Accepted<Queued>> {
    let caller = permit.caller();
    let mut tx = permit.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let webhook = queries::lock(&mut tx, id).await?;
    if webhook.facts.status != Status::Active {
        return Err(Code::WebhookInactive.into());
    }
    let event_id = Uuid::new_v4();
    tx.record(Fact {
        id: event_id,
        organization_id: Some(webhook.facts.organization_id),
        action: Action::Create,
        event: EVENT,
        resource_type: "webhook",
        resource_id: id,
        changes: Value::Null,
        payload: Some(json!({ "webhook": { "id": id } })),
    });
    let reply = Accepted::of(&Queued { event_id });
    idempotency.settle(&mut tx, caller, &reply);
    permit.commit(tx).await?;
    Ok(reply)
}
