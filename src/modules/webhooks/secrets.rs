//! Signing secrets: made here, shown once, kept encrypted.

use crate::config::Config;
use crate::db::Set;
use crate::error::{Error, Result};
use crate::platform::random;
use celaest_domain::egress;
use celaest_domain::hex::hex;
use celaest_domain::webhook::SigningSecret;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A new secret, in the forms it is needed in.
pub struct NewSecret {
    /// As it is shown.
    pub text: String,
    /// SHA-256 of that, in hex.
    hash: String,
    /// Encrypted for the webhook, in hex.
    sealed: String,
    /// The key it is encrypted with.
    key_version: u32,
}

impl NewSecret {
    /// Makes the secret of a webhook.
    ///
    /// # Errors
    /// 503 when there is no key to encrypt with.
    pub fn new(config: &Config, webhook_id: Uuid) -> Result<Self> {
        let text = SigningSecret::new(random::bytes()?).expose();
        let sealed = config
            .vault()?
            .seal(text.as_bytes(), webhook_id.as_bytes(), random::bytes()?)
            .map_err(Error::internal)?;
        Ok(Self {
            hash: hex(&Sha256::digest(text.as_bytes())),
            sealed: hex(&sealed.bytes),
            key_version: sealed.version,
            text,
        })
    }

    /// The columns that keep it.
    pub fn kept(&self, set: Set) -> Set {
        set.to("secret_hash = {}", &self.hash)
            .to("secret_encrypted = decode({}, 'hex')", &self.sealed)
            .to("encryption_key_version = {}::int", self.key_version)
    }
}

/// The URL in the form that is stored and called.
///
/// # Errors
/// 422 for the field `url`.
pub fn checked_url(config: &Config, url: &str) -> Result<String> {
    egress::check(url, config.webhook_allow_private)
        .map(String::from)
        .map_err(|refusal| Error::field("url", &refusal.to_string()))
}
