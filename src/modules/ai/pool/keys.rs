//! The keys themselves: sealed for their row, opened for a call, and read for the object of their pool.

use super::import;
use crate::config::{Config, Secret};
use crate::db::facts::Actor;
use crate::db::{Scope, Set, sql};
use crate::error::{Error, Result};
use crate::modules::ai::host::Host;
use crate::platform::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use celaest_domain::ai::provider::Provider;
use celaest_domain::hex::hex;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;
use uuid::Uuid;

/// Characters of a key that are shown.
const HINT: usize = 4;
/// Keys that an isolate keeps open: beyond that it forgets all.
const MOST_OPENED: usize = 1_000;
/// A shorter key shows none: they would be too much of it.
const SHORT: usize = 12;

/// A key in the forms in which it is kept.
pub struct Kept {
    /// Encrypted for its row, in hex.
    pub sealed: String,
    /// The key it is encrypted with.
    pub key_version: u32,
    /// Its last characters.
    pub hint: Option<String>,
    /// By which the same key is recognised.
    pub fingerprint: String,
}

impl Kept {
    /// Seals the key of the row `id`.
    ///
    /// # Errors
    /// 503 when there is no key to encrypt with.
    pub fn new(config: &Config, id: Uuid, provider: Provider, key: &str) -> Result<Self> {
        let sealed = config
            .vault()?
            .seal(key.as_bytes(), id.as_bytes(), random::bytes()?)
            .map_err(Error::internal)?;
        let digest = Sha256::digest(format!("{provider}:{key}").as_bytes());
        Ok(Self {
            sealed: hex(&sealed.bytes),
            key_version: sealed.version,
            hint: hint(key),
            fingerprint: hex(&digest),
        })
    }

    /// The columns that keep it.
    pub fn into_columns(self, set: Set) -> Set {
        set.to("key_value_encrypted = decode({}, 'hex')", self.sealed)
            .to("encryption_key_version = {}::int", self.key_version)
            .to("key_hint = {}", self.hint)
            .to("key_fingerprint = {}", self.fingerprint)
    }
}

fn hint(key: &str) -> Option<String> {
    let chars = key.chars().count();
    (chars >= SHORT).then(|| key.chars().skip(chars - HINT).collect())
}

/// Opens a key, given in base64.
///
/// # Errors
/// 503 when it was sealed with a key that is not in the list, or for another row.
pub fn open(config: &Config, id: Uuid, sealed: &str, key_version: u32) -> Result<Secret> {
    let bytes = STANDARD.decode(sealed).map_err(Error::internal)?;
    config
        .vault()?
        .open(key_version, &bytes, id.as_bytes())
        .and_then(|key| String::from_utf8(key).ok())
        .map(Secret::new)
        .ok_or_else(|| Error::unavailable(format!("key {id} does not open with ENCRYPTION_KEY")))
}

thread_local! {
    /// Keys that were opened, by their rows, with what they were opened from: a call of its own for each would open the
    /// same ones over and over.
    static OPENED: RefCell<HashMap<Uuid, (String, u32, Secret)>> = RefCell::default();
}

/// [`open`] for a key that is used often.
///
/// # Errors
/// As [`open`].
pub fn opened(config: &Config, id: Uuid, sealed: &str, key_version: u32) -> Result<Secret> {
    let known = OPENED.with_borrow(|opened| {
        let same = opened.get(&id);
        let same = same.filter(|(from, version, _)| from == sealed && *version == key_version);
        same.map(|(.., secret)| secret.clone())
    });
    if let Some(secret) = known {
        return Ok(secret);
    }
    let secret = open(config, id, sealed, key_version)?;
    OPENED.with_borrow_mut(|opened| {
        if opened.len() >= MOST_OPENED {
            opened.clear();
        }
        opened.insert(id, (sealed.to_owned(), key_version, secret.clone()));
    });
    Ok(secret)
}

/// The group of a key that says nothing of it: keys of one account share its limits with some providers.
pub fn usual_group(provider: Provider) -> Option<&'static str> {
    provider.keys_share_limits().then_some(provider.as_str())
}

/// The keys of a pool, as its object takes them.
///
/// # Errors
/// When the database fails.
pub async fn read(
    host: &impl Host,
    provider: Provider,
    owner: Option<Uuid>,
) -> Result<Box<RawValue>> {
    if owner.is_none() {
        import::import(host).await?;
    }
    let query = sql(
        "SELECT json_build_object('keys', (SELECT coalesce(json_agg(k), '[]') FROM (
           SELECT id, translate(encode(key_value_encrypted, 'base64'), E'\\n', '') AS sealed,
             encryption_key_version AS key_version, generation, is_active AS active,
             coalesce('=' || (metadata->>'quota_group'), $3, id::text) AS \"group\", priority, weight,
             rate_limit_rpm AS rpm, rate_limit_tpm AS tpm, rate_limit_rpd AS rpd,
             floor(extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms,
             usage_count AS uses, tokens_used AS used_tokens
           FROM ai_api_pool
           WHERE provider = $1::text::ai_provider AND organization_id IS NOT DISTINCT FROM $2::uuid
           ORDER BY priority DESC, created_at LIMIT 200) k))::text",
    );
    let query = query
        .bind(provider.as_str())
        .bind(owner)
        .bind(usual_group(provider));
    host.database()
        .begin(Scope::System, Actor::default())
        .only_value(query)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::for_tests(&[("ENCRYPTION_KEY", &"A".repeat(43))])
    }

    #[test]
    fn a_key_opens_for_its_row_alone() {
        let (config, id) = (config(), Uuid::from_u128(7));
        let kept = Kept::new(&config, id, Provider::Groq, "gsk_0123456789").unwrap();
        let bytes: Vec<u8> = (0..kept.sealed.len() / 2)
            .map(|at| u8::from_str_radix(&kept.sealed[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let sealed = STANDARD.encode(bytes);
        let opened = open(&config, id, &sealed, kept.key_version).unwrap();
        assert_eq!(opened.expose(), "gsk_0123456789");
        assert!(open(&config, Uuid::from_u128(8), &sealed, kept.key_version).is_err());
        assert_eq!(kept.hint.as_deref(), Some("6789"));
        let same = Kept::new(
            &config,
            Uuid::from_u128(9),
            Provider::Groq,
            "gsk_0123456789",
        );
        assert_eq!(same.unwrap().fingerprint, kept.fingerprint);
    }

    #[test]
    fn a_short_key_shows_nothing() {
        assert_eq!(hint("short"), None);
        assert_eq!(hint("ááááááááááéíóú").as_deref(), Some("éíóú"));
    }
}
