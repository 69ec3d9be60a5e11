//! The doors to the Durable Objects.

use crate::error::{Code, Error, Result};
use crate::http::call::Call;
use celaest_durable::rate_limit::{self, Decision};
use uuid::Uuid;
use worker::send::SendFuture;
use worker::{Env, ObjectNamespace};

/// The length of a rate-limit window, in seconds.
pub const WINDOW_S: u32 = 60;

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

/// Counts one request of a caller in that caller's own object, and the use of its API key if it has one.
///
/// # Errors
/// 429 when the caller is over its limit; 503 when the object does not answer.
pub async fn count_request(
    call: &Call,
    caller: &str,
    limit: u32,
    api_key: Option<Uuid>,
) -> Result<()> {
    apply(call, ask(call, caller, limit, api_key).await?)
}

async fn ask(call: &Call, caller: &str, limit: u32, api_key: Option<Uuid>) -> Result<Decision> {
    let namespace = call
        .env()
        .durable_object("RATE_LIMIT")
        .map_err(Error::internal)?;
    call.count_object_call();
    SendFuture::new(rate_limit::check(
        &namespace, caller, limit, WINDOW_S, api_key,
    ))
    .await
    .map_err(Error::unavailable)
}

/// Shows the limit in the response's headers and stops a caller that is over it.
///
/// # Errors
/// 429 with `Retry-After`.
pub fn apply(call: &Call, decision: Decision) -> Result<()> {
    call.set_quota(decision);
    if decision.allowed {
        return Ok(());
    }
    Err(Error {
        retry_after: Some(decision.reset_s.max(1)),
        ..Error::new(Code::RateLimited)
    })
}

/// Whether a Durable Object answers.
///
/// # Errors
/// When it does not.
pub async fn ping(call: &Call) -> Result<()> {
    ask(call, "health", u32::MAX, None).await.map(|_| ())
}
