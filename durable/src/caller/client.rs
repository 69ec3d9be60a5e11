//! The worker's side of a caller's object.

use uuid::Uuid;
use worker::{Env, Result};

use super::window::Decision;
use super::wire::{Answer, Ask};
use crate::call;

const BINDING: &str = "CALLER";

/// Asks the object called `name` who its caller is, and counts the request.
///
/// # Errors
/// The object could not be reached.
pub async fn ask(env: &Env, name: &str, ask: &Ask<'_>) -> Result<Answer> {
    let text = serde_json::to_string(ask)?;
    let answer = call::ask(env, BINDING, name, "ask", &text).await?;
    call::read(&answer)
}

/// Counts one request of somebody who did not prove who they are: at most `limit` a minute.
///
/// # Errors
/// The object could not be reached.
pub async fn count(env: &Env, name: &str, limit: u32) -> Result<Decision> {
    let answer = call::ask(env, BINDING, name, "count", &limit.to_string()).await?;
    call::read(&answer)
}

/// Tells the object called `name` that `change` of its caller is about to be committed: it keeps nothing
/// until it hears of the outcome, or for a minute.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn announce(env: &Env, name: &str, change: Uuid) -> Result<()> {
    call::ask_twice(env, BINDING, name, "announce", &change.to_string())
        .await
        .map(|_| ())
}

/// Makes the object called `name` forget who its caller is. Call it after the commit of `change` and before
/// the answer, or when it is not to come: from then on no request is judged by what was. May be repeated.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(env: &Env, name: &str, change: Uuid) -> Result<()> {
    call::ask_twice(env, BINDING, name, "forget", &change.to_string())
        .await
        .map(|_| ())
}
