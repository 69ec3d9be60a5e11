//! The worker's side of a webhook object.

use serde::Serialize;
use worker::{Env, Result};

use super::wire::{Endpoint, Enqueue};
use crate::call;

/// Hands over events. They are stored before this returns; handing over the
/// same ones again changes nothing.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn enqueue(env: &Env, request: &Enqueue) -> Result<()> {
    tell(env, &request.endpoint, "enqueue", request).await
}

/// Tells the object that its webhook changed.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn configure(env: &Env, endpoint: &Endpoint) -> Result<()> {
    tell(env, endpoint, "configure", endpoint).await
}

async fn tell<T: Serialize>(env: &Env, endpoint: &Endpoint, what: &str, request: &T) -> Result<()> {
    let name = endpoint.webhook_id.to_string();
    let text = serde_json::to_string(request)?;
    call::ask_twice(env, "WEBHOOK", &name, what, &text)
        .await
        .map(|_| ())
}
