//! The worker's side of a license object.

use celaest_domain::license_key::LicenseKey;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use worker::{Error, ObjectNamespace, Result};

use super::wire::{Answer, Check, Outcome, Pending, Reservation, ReserveRequest};
use crate::call::{self, Reply};

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
    let url = "https://license/validate";
    let reply = call::send(namespace, key.as_str(), url, Some(&body)).await?;
    let text = text(reply)?;
    Answer::decode(text).ok_or_else(|| Error::RustError("a license object's answer".to_owned()))
}

/// Tells the object that a change of its license is about to be committed. Call
/// it right before COMMIT: from then on no validation is answered from what was
/// read before.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn announce(namespace: &ObjectNamespace, key: &LicenseKey, change: Uuid) -> Result<()> {
    ask(namespace, key, "announce", &change).await.map(drop)
}

/// Tells the object what became of a change. Call it when the outcome is known
/// and before the answer: from then on no validation sees the old license.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(
    namespace: &ObjectNamespace,
    key: &LicenseKey,
    outcome: Outcome,
) -> Result<()> {
    ask(namespace, key, "forget", &outcome).await.map(drop)
}

/// What the object has that Postgres may not.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn pending(namespace: &ObjectNamespace, key: &LicenseKey) -> Result<Pending> {
    read(&ask(namespace, key, "pending", &()).await?)
}

/// Tells the object that Postgres has these bindings and collisions.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn settled(namespace: &ObjectNamespace, key: &LicenseKey, ids: &[Uuid]) -> Result<()> {
    ask(namespace, key, "settled", &ids).await.map(drop)
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
    read(&ask(namespace, key, "reserve", request).await?)
}

async fn ask(
    namespace: &ObjectNamespace,
    key: &LicenseKey,
    what: &str,
    body: &impl serde::Serialize,
) -> Result<String> {
    let body = serde_json::to_string(body)?;
    let url = format!("https://license/{what}");
    text(call::send_idempotent(namespace, key.as_str(), &url, Some(&body)).await?)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    Ok(serde_json::from_str(text)?)
}

fn text(reply: Reply) -> Result<String> {
    match reply.status {
        200 => Ok(reply.text),
        status => Err(Error::RustError(format!(
            "license object answered {status}: {}",
            reply.text
        ))),
    }
}
