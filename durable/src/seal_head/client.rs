//! The worker's side of the head of a tenant's seals.

use celaest_domain::audit::Head;
use uuid::Uuid;
use worker::{Env, Result};

use super::rules::Step;
use crate::call;

/// The object of the rows that belong to no organization.
const NOBODY: &str = "none";

/// The newest seal that the object of `organization` was told of.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn read(env: &Env, organization: Option<Uuid>) -> Result<Option<Head>> {
    ask(env, organization, "read", "").await
}

/// Tells the object of a new seal; returns the newest one it knows after that.
/// May be repeated.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn advance(env: &Env, organization: Option<Uuid>, step: &Step) -> Result<Option<Head>> {
    ask(env, organization, "advance", &serde_json::to_string(step)?).await
}

async fn ask(
    env: &Env,
    organization: Option<Uuid>,
    what: &str,
    text: &str,
) -> Result<Option<Head>> {
    let name = organization.map_or_else(|| NOBODY.to_owned(), |id| id.to_string());
    let answer = call::ask_twice(env, "SEAL_HEAD", &name, what, text).await?;
    call::read(&answer)
}
