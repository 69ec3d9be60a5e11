//! The worker's side of a pool's object.

use uuid::Uuid;
use worker::{Env, Result};

use super::wire::{Reserve, Reserved, Settle, Shown};
use crate::call;

const BINDING: &str = "KEY_POOL";

/// Asks the pool called `name` for a key.
///
/// # Errors
/// The object could not be reached.
pub async fn reserve(env: &Env, name: &str, ask: &Reserve<'_>) -> Result<Reserved> {
    let text = serde_json::to_string(ask)?;
    let answer = call::ask(env, BINDING, name, "reserve", &text).await?;
    call::read(&answer)
}

/// Tells the pool called `name` what became of attempts. May be repeated.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn settle(env: &Env, name: &str, settled: &[Settle<'_>]) -> Result<()> {
    let text = serde_json::to_string(settled)?;
    call::ask_twice(env, BINDING, name, "settle", &text)
        .await
        .map(|_| ())
}

/// What the pool called `name` shows of itself.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn shown(env: &Env, name: &str) -> Result<Shown> {
    let answer = call::ask_twice(env, BINDING, name, "show", "").await?;
    // Numbers are names of fields here, which `json` does not read.
    Ok(serde_json::from_str(&answer)?)
}

/// Tells the pool called `name` that `change` of its keys is about to be committed: it keeps nothing until it
/// hears of the outcome, or for a minute.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn announce(env: &Env, name: &str, change: Uuid) -> Result<()> {
    call::ask_twice(env, BINDING, name, "announce", &change.to_string())
        .await
        .map(|_| ())
}

/// Makes the pool called `name` forget which keys it has. Call it after the commit of `change` and before the
/// answer, or when it is not to come. May be repeated.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(env: &Env, name: &str, change: Uuid) -> Result<()> {
    call::ask_twice(env, BINDING, name, "forget", &change.to_string())
        .await
        .map(|_| ())
}
