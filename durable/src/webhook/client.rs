//! The worker's side of a webhook object.

use serde::Serialize;
use worker::{Error, ObjectNamespace, Result};

use super::wire::{Endpoint, Enqueue};
use crate::call_fetch as call;

/// Hands over events. They are stored before this returns; handing over the
/// same ones again changes nothing.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn enqueue(namespace: &ObjectNamespace, request: &Enqueue) -> Result<()> {
    tell(
        namespace,
        &request.endpoint,
        "https://webhook/enqueue",
        request,
    )
    .await
}

/// Tells the object that its webhook changed.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn configure(namespace: &ObjectNamespace, endpoint: &Endpoint) -> Result<()> {
    tell(namespace, endpoint, "https://webhook/configure", endpoint).await
}

async fn tell<T: Serialize>(
    namespace: &ObjectNamespace,
    endpoint: &Endpoint,
    url: &str,
    request: &T,
) -> Result<()> {
    let name = endpoint.webhook_id.to_string();
    let body = serde_json::to_string(request)?;
    let reply = call::send_idempotent(namespace, &name, url, Some(&body)).await?;
    if reply.status == 200 {
        return Ok(());
    }
    Err(Error::RustError(format!(
        "webhook object answered {}: {}",
        reply.status, reply.text
    )))
}
