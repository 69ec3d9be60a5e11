//! How the worker and a webhook's object work together: PostgreSQL says what a webhook is, the object
//! sends, and every change is told to it before the change's answer leaves.

use super::queries::{ENDPOINT, with_deleted};
use crate::call::Call;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::change::Change;
use celaest_durable::webhook::{self, Endpoint, Enqueue, Event};
use serde_json::json;
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// Tells an object what its webhook is now.
///
/// # Errors
/// 503 when it cannot be reached.
pub async fn configure(env: &Env, endpoint: &Endpoint) -> Result<()> {
    webhook::configure(env, endpoint)
        .await
        .map_err(Error::unavailable)
}

/// Hands events to an object. They are stored when this returns.
///
/// # Errors
/// 503 when it cannot be reached.
pub async fn enqueue(env: &Env, endpoint: Endpoint, events: Vec<Event>) -> Result<()> {
    let request = Enqueue { endpoint, events };
    webhook::enqueue(env, &request)
        .await
        .map_err(Error::unavailable)
}

/// Reads webhooks as their objects need to know them, deleted ones too.
///
/// # Errors
/// When the database fails.
pub async fn endpoints(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Endpoint>> {
    let these = with_deleted(tx).when(
        "w.id IN (SELECT value::uuid FROM jsonb_array_elements_text({}::jsonb))",
        Some(json!(ids)),
    );
    let query = these.read(&format!("coalesce(json_agg({ENDPOINT}), '[]')::text"));
    tx.value(query).await
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

/// Tells the object of a webhook that was changed in `tx`, once that is committed. When the object cannot
/// be told then, the outbox will.
///
/// # Errors
/// When the database fails.
pub async fn tell(call: &Rc<Call>, tx: &mut Change, id: Uuid) -> Result<()> {
    let endpoint = endpoint(tx, id).await?;
    let call = call.clone();
    tx.after_commit(async move {
        call.count_object_call();
        configure(call.env(), &endpoint).await
    });
    Ok(())
}
