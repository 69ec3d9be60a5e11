//! How often somebody may call.

use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::settings;
use celaest_durable::caller::{self, Decision, LocalLimiter};
use std::cell::RefCell;

/// The length of a rate-limit window, in seconds.
const WINDOW_S: u32 = 60;

/// Addresses that are counted at the same time in one isolate; the oldest make room.
const MAX_ADDRESSES: usize = 10_000;

thread_local! {
    /// Validations per address in this isolate. Memory only, and so approximate across isolates: the
    /// exact limit is the license's own, in its object, and a second object call per validation would
    /// cost more than it protects.
    static ADDRESSES: RefCell<LocalLimiter> = RefCell::new(LocalLimiter::new(MAX_ADDRESSES));
}

/// Counts a request of somebody who did not prove who they are: the address pays, in an object of its own.
///
/// # Errors
/// 429 when the address is over its limit; 503 when the object does not answer.
pub async fn count_address(call: &Call) -> Result<()> {
    let limit = settings::rate_limit_per_min(call);
    apply(call, count(call, &format!("ip:{}", call.ip), limit).await?)
}

async fn count(call: &Call, name: &str, limit: u32) -> Result<Decision> {
    call.count_object_call();
    caller::count(call.env(), name, limit)
        .await
        .map_err(Error::unavailable)
}

/// Counts a validation from the connection's address.
///
/// # Errors
/// 429 when the address is over its limit.
pub fn count_validation(call: &Call) -> Result<()> {
    let limit = call.config.validate_limit_per_ip;
    let decision = ADDRESSES
        .with_borrow_mut(|addresses| addresses.check(&call.ip, limit, WINDOW_S, call.started_ms));
    apply(call, decision)
}

/// Whether a Durable Object answers.
///
/// # Errors
/// When it does not.
pub async fn ping(call: &Call) -> Result<()> {
    count(call, "health", u32::MAX).await.map(|_| ())
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
