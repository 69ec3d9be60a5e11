//! The worker's side of a license object.

use celaest_domain::license_key::LicenseKey;
use worker::{Env, Error, Result};

use super::wire::{Answer, Check, Pending, Reservation, ReserveRequest};
use crate::call;

const BINDING: &str = "LICENSE";

/// Validates; see [`Answer`] for what the worker does next.
///
/// # Errors
/// The object could not be reached, or refused the check as malformed.
pub async fn validate(env: &Env, key: &LicenseKey, check: &Check<'_>) -> Result<Answer> {
    let text = serde_json::to_string(check)?;
    // Not repeated on failure: the first call may have been logged.
    let answer = call::ask(env, BINDING, key.as_str(), "validate", &text).await?;
    Answer::from_text(answer).ok_or_else(|| Error::RustError("a license answered nothing".into()))
}

/// Tells the object that its license changed. Call it after the commit and before the answer: from then
/// on no validation sees the old license.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(env: &Env, key: &LicenseKey) -> Result<()> {
    call::ask_twice(env, BINDING, key.as_str(), "forget", "")
        .await
        .map(|_| ())
}

/// Bindings the object made that Postgres may not have yet.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn pending(env: &Env, key: &LicenseKey) -> Result<Pending> {
    let answer = call::ask_twice(env, BINDING, key.as_str(), "pending", "").await?;
    Ok(serde_json::from_str(&answer)?)
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
    let text = serde_json::to_string(request)?;
    let answer = call::ask_twice(env, BINDING, key.as_str(), "reserve", &text).await?;
    Ok(serde_json::from_str(&answer)?)
}
