//! The worker's side of the head of a tenant's seals.

use celaest_domain::audit::Head;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use worker::{Env, Result};

use super::rules::{Known, Restart, Step};
use crate::call;

/// The object of the rows that belong to no organization.
const NOBODY: &str = "none";

/// What the object of `organization` was told of.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn read(env: &Env, organization: Option<Uuid>) -> Result<Known> {
    ask(env, organization, "read", "").await
}

/// Tells the object that the chain goes on before what it knows; returns the newest seal it knows after
/// that. May be repeated.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn restart(
    env: &Env,
    organization: Option<Uuid>,
    restart: &Restart,
) -> Result<Option<Head>> {
    ask(
        env,
        organization,
        "restart",
        &serde_json::to_string(restart)?,
    )
    .await
}

/// Tells the object of a new seal; returns the newest one it knows after that.
/// May be repeated.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn advance(env: &Env, organization: Option<Uuid>, step: &Step) -> Result<Option<Head>> {
    ask(env, organization, "advance", &serde_json::to_string(step)?).await
}

async fn ask<T: DeserializeOwned>(
    env: &Env,
    organization: Option<Uuid>,
    what: &str,
    text: &str,
) -> Result<T> {
    let name = organization.map_or_else(|| NOBODY.to_owned(), |id| id.to_string());
    let answer = call::ask_twice(env, "SEAL_HEAD", &name, what, text).await?;
    call::read(&answer)
}
