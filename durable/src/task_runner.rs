//! The worker's side of the objects that do AI tasks. What they do is the worker's own; that they outlast whoever
//! wakes them is `src/entry/objects.mjs`.

use worker::{Env, Result};

use crate::call;

const BINDING: &str = "TASK_RUNNER";

/// Sets the runner called `name` to work. Returns whether it was not at work already; one that is looks again when it
/// has done.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn wake(env: &Env, name: &str) -> Result<bool> {
    let answer = call::ask_twice(env, BINDING, name, "wake", "").await?;
    Ok(!answer.is_empty())
}
