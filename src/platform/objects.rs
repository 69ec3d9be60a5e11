//! The doors to the Durable Objects.

use crate::error::{Error, Result};
use celaest_durable::rate_limit::{self, Decision};
use uuid::Uuid;
use worker::{Env, ObjectNamespace};

/// The license objects.
///
/// # Errors
/// When the binding is missing.
pub fn licenses(env: &Env) -> Result<ObjectNamespace> {
    env.durable_object("LICENSE").map_err(Error::internal)
}

/// The webhook objects.
///
/// # Errors
/// When the binding is missing.
pub fn webhooks(env: &Env) -> Result<ObjectNamespace> {
    env.durable_object("WEBHOOK").map_err(Error::internal)
}

/// The objects that know the newest audit seal of each tenant.
///
/// # Errors
/// When the binding is missing.
pub fn seal_heads(env: &Env) -> Result<ObjectNamespace> {
    env.durable_object("SEAL_HEAD").map_err(Error::internal)
}

/// Counts one request of a caller, and the use of its API key if it has one.
///
/// # Errors
/// 503 when the object does not answer.
pub async fn count(
    env: &Env,
    caller: &str,
    limit: u32,
    window_s: u32,
    api_key: Option<Uuid>,
) -> Result<Decision> {
    let namespace = env.durable_object("RATE_LIMIT").map_err(Error::internal)?;
    rate_limit::check(&namespace, caller, limit, window_s, api_key)
        .await
        .map_err(Error::unavailable)
}

/// The objects that know who is calling.
///
/// # Errors
/// When the binding is missing.
pub fn callers(env: &Env) -> Result<ObjectNamespace> {
    env.durable_object("CALLER").map_err(Error::internal)
}
