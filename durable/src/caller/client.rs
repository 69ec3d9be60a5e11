//! The worker's side of a caller's object.

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
    Ok(serde_json::from_str(&answer)?)
}

/// Counts one request of somebody who did not prove who they are: at most `limit` a minute.
///
/// # Errors
/// The object could not be reached.
pub async fn count(env: &Env, name: &str, limit: u32) -> Result<Decision> {
    let answer = call::ask(env, BINDING, name, "count", &limit.to_string()).await?;
    Ok(serde_json::from_str(&answer)?)
}

/// Makes the object called `name` forget who its caller is. Call it after the commit and before the
/// answer: from then on no request is judged by what was.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(env: &Env, name: &str) -> Result<()> {
    call::ask_twice(env, BINDING, name, "forget", "")
        .await
        .map(|_| ())
}
