//! Sensitive settings: sealed before they are stored, opened where they are used.

use crate::config::Config;
use crate::error::{Error, Result};
use celaest_domain::settings::{self, Key};
use celaest_domain::vault::{NONCE, Vault};
use serde_json::Value;
use uuid::Uuid;

/// The keys for secrets at rest.
///
/// # Errors
/// 503 when ENCRYPTION_KEY is missing or malformed: no secret is stored in clear instead.
pub fn vault(config: &Config) -> Result<Vault> {
    let keys = config
        .encryption_key
        .as_ref()
        .ok_or_else(|| Error::unavailable("ENCRYPTION_KEY is not set"))?;
    Vault::parse(keys.expose())
        .map_err(|problem| Error::unavailable(format!("ENCRYPTION_KEY: {problem}")))
}

/// Seals the value of a sensitive setting.
///
/// # Errors
/// As [`vault`].
pub fn seal(config: &Config, key: Key, text: &str) -> Result<Value> {
    settings::seal(&vault(config)?, key, text, nonce())
        .ok_or_else(|| Error::internal("a setting could not be sealed"))
}

/// Opens the key of the e-mail provider.
///
/// # Errors
/// As [`vault`]; 503 also when it was sealed with a key that is not in the list.
pub fn open(config: &Config, stored: &Value) -> Result<String> {
    settings::open(&vault(config)?, Key::EmailApiKey, stored)
        .ok_or_else(|| Error::unavailable("email.api_key cannot be opened with ENCRYPTION_KEY"))
}

/// Fresh random bytes: those of a random UUID that are not part of its format.
fn nonce() -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    let random = Uuid::new_v4().into_bytes();
    let whole = random[..6].iter().chain(&random[10..]);
    for (place, byte) in nonce.iter_mut().zip(whole) {
        *place = *byte;
    }
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_differ_in_every_byte() {
        let drawn: Vec<_> = (0..64).map(|_| nonce()).collect();
        for place in 0..NONCE {
            assert!(drawn.iter().any(|nonce| nonce[place] != drawn[0][place]));
        }
    }
}
