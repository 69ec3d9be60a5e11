//! How the worker and a webhook's object work together: PostgreSQL says what a webhook is, the object
//! sends, and every change is told to it before the change's answer leaves.

use super::model::Webhook;
use super::queries::ENDPOINT;
use crate::db::facts::{Action, Fact, changes};
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::http::permit::Access;
use crate::http::reply::Raw;
use crate::platform::objects;
use celaest_durable::webhook::{self, Endpoint, Enqueue, Event};
use serde_json::{Value, json};
use uuid::Uuid;
use worker::Env;
use worker::send::SendFuture;

/// Tells an object what its webhook is now.
///
/// # Errors
/// 503 when it cannot be reached.
pub async fn configure(env: &Env, endpoint: &Endpoint) -> Result<()> {
    let namespace = objects::webhooks(env)?;
    SendFuture::new(webhook::configure(&namespace, endpoint))
        .await
        .map_err(Error::unavailable)
}

/// Hands events to an object. They are stored when this returns.
///
/// # Errors
/// 503 when it cannot be reached.
pub async fn enqueue(env: &Env, endpoint: Endpoint, events: Vec<Event>) -> Result<()> {
    let namespace = objects::webhooks(env)?;
    let request = Enqueue { endpoint, events };
    SendFuture::new(webhook::enqueue(&namespace, &request))
        .await
        .map_err(Error::unavailable)
}

/// Reads webhooks as their objects need to know them, deleted ones too.
///
/// # Errors
/// When the database fails.
pub async fn endpoints(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Endpoint>> {
    tx.value(
        sql(format!(
            "SELECT coalesce(json_agg({ENDPOINT}), '[]')::text FROM webhooks w
             WHERE w.id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))
               AND ($2::uuid IS NULL OR w.organization_id = $2::uuid)"
        ))
        .bind(json!(ids))
        .bind(tx.scope().organization()),
    )
    .await
}

/// Reads one webhook as its object needs to know it.
///
/// # Errors
/// When the database fails.
pub async fn endpoint(tx: &mut Tx, id: Uuid) -> Result<Endpoint> {
    endpoints(tx, &[id])
        .await?
        .pop()
        .ok_or_else(|| Error::internal("a webhook without a row"))
}

/// Ends a change of a webhook: records it, commits, and tells the object before the answer leaves.
///
/// # Errors
/// When the commit fails, nothing remains; when only the object cannot be told, the outbox will.
pub async fn settle(
    permit: &Access,
    mut tx: Tx,
    action: Action,
    event: &'static str,
    before: Option<&Raw<Webhook>>,
    after: &Raw<Webhook>,
) -> Result<()> {
    let tree = after.tree();
    let id: Uuid = serde_json::from_value(tree["id"].clone()).map_err(Error::internal)?;
    let organization_id = serde_json::from_value(tree["organization_id"].clone()).ok();
    let endpoint = endpoint(&mut tx, id).await?;
    let before = before.map_or(Value::Null, Raw::tree);
    let changes = match action {
        Action::Delete => changes(&before, &Value::Null),
        _ => changes(&before, &tree),
    };
    // Setting what already is so is no event, but a new secret is one.
    if changes["after"] != json!({}) || changes["before"] != json!({}) {
        tx.record(Fact {
            id: Uuid::new_v4(),
            organization_id,
            action,
            event,
            resource_type: "webhook",
            resource_id: id,
            changes,
            payload: Some(json!({ "webhook": tree })),
        });
    }
    permit.commit(tx).await?;
    permit.call.count_object_call();
    configure(permit.call.env(), &endpoint).await
}
