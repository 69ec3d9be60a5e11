//! Secrets at rest: AES-256-GCM with numbered keys.
//!
//! A secret is sealed for one row (its id is the associated data), so a
//! ciphertext copied to another row does not open there.

use crate::secrets::listed;
use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose::NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Length of a nonce, in bytes. A nonce is random and never used twice.
pub const NONCE: usize = 12;

const CONFIG: GeneralPurposeConfig =
    NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// base64url, with or without padding.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, CONFIG);

/// The keys, oldest first. The last one seals; all of them open.
pub struct Vault {
    keys: Vec<Aes256Gcm>,
}

/// A sealed secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The key it was sealed with, counted from 1.
    pub version: u32,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

/// [`Sealed`] as JSON keeps it.
#[derive(Serialize, Deserialize)]
struct SealedText {
    version: u32,
    /// In base64.
    sealed: String,
}

/// The text is not a list of keys, or a secret is too long to be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidVault;

impl fmt::Display for InvalidVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a comma-separated list of base64url keys of 32 bytes")
    }
}

impl std::error::Error for InvalidVault {}

impl Vault {
    /// Reads keys of 32 bytes in base64url, separated by commas. New keys are
    /// added at the end: a key's version is its position, counted from 1.
    ///
    /// # Errors
    /// [`InvalidVault`] when there is no key or one of them is malformed.
    pub fn parse(text: &str) -> Result<Self, InvalidVault> {
        let keys = listed(text)
            .map(|key| {
                let bytes = URL_SAFE.decode(key).map_err(|_| InvalidVault)?;
                let bytes: [u8; 32] = bytes.try_into().map_err(|_| InvalidVault)?;
                Ok(Aes256Gcm::new(&Key::<Aes256Gcm>::from(bytes)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys })
    }

    /// Seals with the current key.
    ///
    /// # Errors
    /// [`InvalidVault`] when the secret is longer than the cipher takes (64 GB).
    pub fn seal(
        &self,
        plaintext: &[u8],
        associated: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Sealed, InvalidVault> {
        let key = self.keys.last().ok_or(InvalidVault)?;
        let payload = Payload {
            msg: plaintext,
            aad: associated,
        };
        let ciphertext = key
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| InvalidVault)?;
        let mut bytes = nonce.to_vec();
        bytes.extend(ciphertext);
        Ok(Sealed {
            version: self.keys.len() as u32,
            bytes,
        })
    }

    /// [`Vault::seal`] for a text that is kept in JSON. `None` when it cannot be
    /// sealed.
    #[must_use]
    pub fn seal_text(&self, text: &str, associated: &[u8], nonce: [u8; NONCE]) -> Option<Value> {
        let sealed = self.seal(text.as_bytes(), associated, nonce).ok()?;
        serde_json::to_value(SealedText {
            version: sealed.version,
            sealed: STANDARD.encode(sealed.bytes),
        })
        .ok()
    }

    /// Opens what [`Vault::seal_text`] made. `None` as for [`Vault::open`].
    #[must_use]
    pub fn open_text(&self, stored: &Value, associated: &[u8]) -> Option<String> {
        let SealedText { version, sealed } = SealedText::deserialize(stored).ok()?;
        let bytes = STANDARD.decode(sealed).ok()?;
        String::from_utf8(self.open(version, &bytes, associated)?).ok()
    }

    /// Opens what was sealed with the key `version` for the same associated
    /// data. `None` when the key is unknown or anything was changed.
    #[must_use]
    pub fn open(&self, version: u32, bytes: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
        let place = usize::try_from(version).ok()?.checked_sub(1)?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE)?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let payload = Payload {
            msg: ciphertext,
            aad: associated,
        };
        self.keys
            .get(place)?
            .decrypt(&Nonce::from(nonce), payload)
            .ok()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} keys)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> String {
        URL_SAFE.encode([byte; 32])
    }

    fn vault(bytes: &[u8]) -> Vault {
        let keys: Vec<_> = bytes.iter().map(|byte| key(*byte)).collect();
        Vault::parse(&keys.join(",")).unwrap()
    }

    #[test]
    fn a_known_vector() {
        // Test case 13 of the GCM specification: zero key and nonce, nothing to seal.
        let sealed = vault(&[0]).seal(b"", b"", [0; NONCE]).unwrap();
        let tag = [
            0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9, 0xa9, 0x63, 0xb4, 0xf1, 0xc4, 0xcb,
            0x73, 0x8b,
        ];
        assert_eq!(sealed.version, 1);
        assert_eq!(sealed.bytes[..NONCE], [0; NONCE]);
        assert_eq!(sealed.bytes[NONCE..], tag);
    }

    #[test]
    fn the_last_key_seals_and_all_open() {
        let old = vault(&[1]).seal(b"secret", b"row", [7; NONCE]).unwrap();
        let both = vault(&[1, 2]);
        assert_eq!(
            both.open(old.version, &old.bytes, b"row").unwrap(),
            b"secret"
        );
        let new = both.seal(b"secret", b"row", [8; NONCE]).unwrap();
        assert_eq!(new.version, 2);
        assert!(vault(&[1]).open(new.version, &new.bytes, b"row").is_none());
        assert!(vault(&[1]).open(0, &old.bytes, b"row").is_none());
        assert!(both.open(2, &old.bytes, b"row").is_none());
        assert!(both.open(1, &old.bytes, b"another row").is_none());
    }

    #[test]
    fn keys_are_checked_and_never_shown() {
        for text in ["", ",", "AAAA", &format!("{},", key(1)), "not base64!"] {
            assert!(Vault::parse(text).is_err(), "{text:?}");
        }
        // With padding and blanks, as people paste it.
        assert!(Vault::parse(&format!(" {}= , {}", key(255), key(2))).is_ok());
        assert_eq!(format!("{:?}", vault(&[1, 2])), "Vault(2 keys)");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(plain: Vec<u8>, associated: Vec<u8>, nonce: [u8; NONCE]) {
            let vault = vault(&[3]);
            let sealed = vault.seal(&plain, &associated, nonce).unwrap();
            prop_assert_eq!(vault.open(1, &sealed.bytes, &associated), Some(plain));
        }

        #[test]
        fn what_was_changed_does_not(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let vault = vault(&[3]);
            let mut sealed = vault.seal(&plain, b"row", [9; NONCE]).unwrap();
            let at = at.index(sealed.bytes.len());
            sealed.bytes[at] ^= 1 << bit;
            prop_assert_eq!(vault.open(1, &sealed.bytes, b"row"), None);
        }

        #[test]
        fn no_input_panics(version: u32, bytes: Vec<u8>, text in ".*") {
            let _ = (vault(&[3]).open(version, &bytes, b""), Vault::parse(&text));
        }
    }
}
