//! The worker's side of the head of a tenant's seals.

use celaest_domain::audit::Head;
use uuid::Uuid;
use worker::{Error, ObjectNamespace, Result};

use super::rules::Step;
use crate::call_fetch as call;

/// The object of the rows that belong to no organization.
const NOBODY: &str = "none";
const URL: &str = "https://seal-head/";

/// The newest seal that the object of `organization` was told of.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn read(namespace: &ObjectNamespace, organization: Option<Uuid>) -> Result<Option<Head>> {
    ask(namespace, organization, None).await
}

/// Tells the object of a new seal; returns the newest one it knows after that.
/// May be repeated.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn advance(
    namespace: &ObjectNamespace,
    organization: Option<Uuid>,
    step: &Step,
) -> Result<Option<Head>> {
    let body = serde_json::to_string(step)?;
    ask(namespace, organization, Some(&body)).await
}

async fn ask(
    namespace: &ObjectNamespace,
    organization: Option<Uuid>,
    body: Option<&str>,
) -> Result<Option<Head>> {
    let name = organization.map_or_else(|| NOBODY.to_owned(), |id| id.to_string());
    let reply = call::send_idempotent(namespace, &name, URL, body).await?;
    if reply.status == 200 {
        Ok(serde_json::from_str(&reply.text)?)
    } else {
        Err(Error::RustError(format!(
            "the head of seals answered {}",
            reply.status
        )))
    }
}
