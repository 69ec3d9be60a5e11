//! The keys that sign seals.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::{hex, unhex};
use crate::secrets::listed;

const CONFIG: GeneralPurposeConfig =
    NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// base64url, with or without padding.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, CONFIG);
/// Characters of a key's name.
const ID_CHARS: usize = 16;

/// The signing keys, oldest first. The last one signs; the others still vouch
/// for what they signed.
pub struct Keys {
    current: SigningKey,
    older: Vec<SigningKey>,
}

/// The text is not a list of seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKeys;

impl fmt::Display for InvalidKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a comma-separated list of base64url seeds of 32 bytes")
    }
}

impl std::error::Error for InvalidKeys {}

impl Keys {
    /// Reads Ed25519 seeds of 32 bytes in base64url, separated by commas. A new
    /// key is added at the end.
    ///
    /// # Errors
    /// [`InvalidKeys`] when there is no seed or one of them is malformed.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let mut keys = listed(text)
            .map(|seed| {
                let seed = URL_SAFE.decode(seed).map_err(|_| InvalidKeys)?;
                let seed: [u8; 32] = seed.try_into().map_err(|_| InvalidKeys)?;
                Ok(SigningKey::from_bytes(&seed))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let current = keys.pop().ok_or(InvalidKeys)?;
        Ok(Self {
            current,
            older: keys,
        })
    }

    /// The current key's public half, in hexadecimal.
    pub fn public_key(&self) -> String {
        hex(self.current.verifying_key().as_bytes())
    }

    /// The current key's name: the first 16 characters of the SHA-256 of its
    /// public half.
    pub fn key_id(&self) -> String {
        id(&self.current)
    }

    pub(super) fn sign(&self, digest: &[u8; 32]) -> String {
        hex(&self.current.sign(digest).to_bytes())
    }

    /// Whether the key called `key_id` signed `digest`.
    pub(super) fn vouch(&self, key_id: &str, digest: &[u8; 32], signature: &str) -> bool {
        let Some(signature) = unhex(signature) else {
            return false;
        };
        std::iter::once(&self.current)
            .chain(&self.older)
            .find(|key| id(key) == key_id)
            .is_some_and(|key| {
                key.verifying_key()
                    .verify_strict(digest, &Signature::from_bytes(&signature))
                    .is_ok()
            })
    }
}

fn id(key: &SigningKey) -> String {
    let mut id = hex(&Sha256::digest(key.verifying_key().as_bytes()));
    id.truncate(ID_CHARS);
    id
}
