//! The worker's side of a rate limit.

use uuid::Uuid;
use worker::{Error, ObjectNamespace, Result};

use super::rules::Decision;
use crate::call;

/// Counts one request of the caller `name`: at most `limit` in `window_s`
/// seconds. With `api_key`, an allowed request also counts as a use of that key.
///
/// # Errors
/// The object could not be reached.
pub async fn check(
    namespace: &ObjectNamespace,
    name: &str,
    limit: u32,
    window_s: u32,
    api_key: Option<Uuid>,
) -> Result<Decision> {
    // No body: the request is complete with its first line.
    let url = match api_key {
        None => format!("https://rate-limit/{limit}/{window_s}"),
        Some(key) => format!("https://rate-limit/{limit}/{window_s}/{key}"),
    };
    let reply = call::send(namespace, name, &url, None).await?;
    read(&reply.text, limit)
        .ok_or_else(|| Error::RustError(format!("rate limit answered {}", reply.status)))
}

fn read(text: &str, limit: u32) -> Option<Decision> {
    let mut numbers = text.split(' ').map(str::parse::<u32>);
    Some(Decision {
        allowed: numbers.next()?.ok()? == 1,
        limit,
        remaining: numbers.next()?.ok()?,
        reset_s: numbers.next()?.ok()?,
    })
}
