//! The doors to the Durable Objects that are called by `fetch`.

use crate::error::{Error, Result};
use worker::{Env, ObjectNamespace};

/// The webhook objects.
///
/// # Errors
/// When the binding is missing.
pub fn webhooks(env: &Env) -> Result<ObjectNamespace> {
    env.durable_object("WEBHOOK").map_err(Error::internal)
}

/// The objects that know the newest audit seal of each tenant.
///
/// # Errors
/// When the binding is missing.
pub fn seal_heads(env: &Env) -> Result<ObjectNamespace> {
    env.durable_object("SEAL_HEAD").map_err(Error::internal)
}
