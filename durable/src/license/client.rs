//! The worker's side of a license object.

use celaest_domain::license_key::LicenseKey;
use serde::Serialize;
use worker::{Error, ObjectNamespace, Result};

use super::wire::{Answer, Check, Pending, Reservation, ReserveRequest};
use crate::call::{self, Reply};
use crate::rate_limit::Decision;

/// Statuses the object answers a validation with.
pub(super) const NEED_SNAPSHOT: u16 = 409;
pub(super) const LIMITED: u16 = 429;
pub(super) const UNAVAILABLE: u16 = 503;

/// Validates; see [`Answer`] for what the worker does next.
///
/// # Errors
/// The object could not be reached, or refused the check as malformed.
pub async fn validate(
    namespace: &ObjectNamespace,
    key: &LicenseKey,
    check: &Check<'_>,
) -> Result<Answer> {
    let body = serde_json::to_string(check)?;
    // Not repeated on failure: the first call may have been logged.
    let reply = call::send(
        namespace,
        key.as_str(),
        "https://license/validate",
        Some(&body),
    )
    .await?;
    match reply.status {
        200 => Ok(Answer::Verdict(reply.text)),
        NEED_SNAPSHOT => match reply.text.parse() {
            Ok(token) => Ok(Answer::NeedSnapshot { token }),
            Err(_) => Err(refused(&reply)),
        },
        LIMITED => limited(&reply.text)
            .map(Answer::Limited)
            .ok_or_else(|| refused(&reply)),
        UNAVAILABLE => Ok(Answer::Unavailable),
        _ => Err(refused(&reply)),
    }
}

/// Tells the object that its license changed. Call it after the commit and
/// before the answer: from then on no validation sees the old license.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(namespace: &ObjectNamespace, key: &LicenseKey) -> Result<()> {
    let url = "https://license/forget";
    let reply = call::send_idempotent(namespace, key.as_str(), url, None).await?;
    if reply.status == 200 {
        Ok(())
    } else {
        Err(refused(&reply))
    }
}

/// Bindings the object made that Postgres may not have yet.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn pending(namespace: &ObjectNamespace, key: &LicenseKey) -> Result<Pending> {
    let url = "https://license/pending";
    let reply = call::send_idempotent(namespace, key.as_str(), url, None).await?;
    read(&reply)
}

/// Holds a slot for a manual bind.
///
/// # Errors
/// The object could not be reached, twice, or refused the request as malformed.
pub async fn reserve(
    namespace: &ObjectNamespace,
    key: &LicenseKey,
    request: &ReserveRequest<'_>,
) -> Result<Reservation> {
    let body = serde_json::to_string(request)?;
    let url = "https://license/reserve";
    let reply = call::send_idempotent(namespace, key.as_str(), url, Some(&body)).await?;
    read(&reply)
}

fn read<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T> {
    if reply.status == 200 {
        Ok(serde_json::from_str(&reply.text)?)
    } else {
        Err(refused(reply))
    }
}

fn refused(reply: &Reply) -> Error {
    Error::RustError(format!(
        "license object answered {}: {}",
        reply.status, reply.text
    ))
}

/// `limit remaining reset_s`, as text.
pub(super) fn limited_text(decision: &Decision) -> String {
    format!(
        "{} {} {}",
        decision.limit, decision.remaining, decision.reset_s
    )
}

fn limited(text: &str) -> Option<Decision> {
    let mut numbers = text.split(' ').map(str::parse::<u32>);
    Some(Decision {
        allowed: false,
        limit: numbers.next()?.ok()?,
        remaining: numbers.next()?.ok()?,
        reset_s: numbers.next()?.ok()?,
    })
}

/// The object's side of [`read`].
pub(super) fn write<T: Serialize>(value: &T) -> Result<(u16, String)> {
    Ok((200, serde_json::to_string(value)?))
}
