//! Sensitive settings: sealed before they are stored, opened where they are used.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::platform::random;
use celaest_domain::settings::{self, Key};
use serde_json::Value;

/// Seals the value of a sensitive setting.
///
/// # Errors
/// 503 when there is no key to seal with: no secret is stored in clear instead.
pub fn seal(config: &Config, key: Key, text: &str) -> Result<Value> {
    settings::seal(&config.vault()?, key, text, random::bytes()?)
        .ok_or_else(|| Error::internal("a setting could not be sealed"))
}

/// Opens the key of the e-mail provider.
///
/// # Errors
/// 503 when it was sealed with a key that is not in the list.
pub fn open(config: &Config, stored: &Value) -> Result<String> {
    settings::open(&config.vault()?, Key::EmailApiKey, stored)
        .ok_or_else(|| Error::unavailable("email.api_key cannot be opened with ENCRYPTION_KEY"))
}
