//! The worker's side of a license object.

use celaest_domain::license_key::LicenseKey;
use serde::Serialize;
use uuid::Uuid;
use worker::{Env, Error, Result};

use super::calls::{CallAnswer, Confirmed, ReserveCall, SettleCall};
use super::wire::{Answer, Check, Outcome, Pending, Reservation, ReserveRequest};
use crate::call;

const BINDING: &str = "LICENSE";

/// Validates; see [`Answer`] for what the worker does next.
///
/// # Errors
/// The object could not be reached, or refused the check as malformed.
pub async fn validate(env: &Env, key: &LicenseKey, check: &Check<'_>) -> Result<Answer> {
    // Not repeated on failure: the first call may have been logged.
    let answer = call::ask(env, BINDING, key.as_str(), "validate", &check.encode()).await?;
    Answer::decode(answer).ok_or_else(|| Error::RustError("a license answered nothing".into()))
}

/// Tells the object that a change of its license is about to be committed. Call it right before COMMIT:
/// from then on no validation is answered from what was read before.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn announce(env: &Env, key: &LicenseKey, change: Uuid) -> Result<()> {
    ask(env, key, "announce", &change).await.map(drop)
}

/// Tells the object what became of a change. Call it when the outcome is known and before the answer:
/// from then on no validation sees the old license.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(env: &Env, key: &LicenseKey, outcome: Outcome) -> Result<()> {
    ask(env, key, "forget", &outcome).await.map(drop)
}

/// What the object has that Postgres may not.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn pending(env: &Env, key: &LicenseKey) -> Result<Pending> {
    call::read(&ask(env, key, "pending", &()).await?)
}

/// Tells the object that Postgres has these bindings and collisions.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn settled(env: &Env, key: &LicenseKey, ids: &[Uuid]) -> Result<()> {
    ask(env, key, "settled", &ids).await.map(drop)
}

/// Holds a slot for a manual bind.
///
/// # Errors
/// The object could not be reached, twice, or refused the request as malformed.
pub async fn reserve(
    env: &Env,
    key: &LicenseKey,
    request: &ReserveRequest<'_>,
) -> Result<Reservation> {
    call::read(&ask(env, key, "reserve", request).await?)
}

/// Asks for room for one AI call; see [`CallAnswer`] for what the worker does next.
///
/// # Errors
/// The object could not be reached, or refused the request as malformed.
pub async fn reserve_call(
    env: &Env,
    key: &LicenseKey,
    request: &ReserveCall<'_>,
) -> Result<CallAnswer> {
    // Not repeated on failure: the first one may have been let in, and its end is not told then.
    let text = serde_json::to_string(request)?;
    let answer = call::ask(env, BINDING, key.as_str(), "reserve_call", &text).await?;
    call::read(&answer)
}

/// Tells the object what became of calls.
///
/// # Errors
/// The object could not be reached, twice: it finds out by itself then, later.
pub async fn settle_calls(env: &Env, key: &LicenseKey, told: &[SettleCall]) -> Result<()> {
    ask(env, key, "settle_calls", &told).await.map(drop)
}

/// Tells the object that Postgres has the records of these calls.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn confirm_calls(env: &Env, key: &LicenseKey, told: &[Confirmed]) -> Result<()> {
    ask(env, key, "confirm_calls", &told).await.map(drop)
}

async fn ask(env: &Env, key: &LicenseKey, what: &str, told: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(told)?;
    call::ask_twice(env, BINDING, key.as_str(), what, &text).await
}
