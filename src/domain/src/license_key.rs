//! License keys: `CELAEST-{PRODUCT_CODE}-{RANDOM_8}-{CHECKSUM_4}`.
//!
//! The checksum is keyed, so a made-up key is refused at the edge without
//! touching an object or the database. It is not what makes keys hard to guess
//! (20 bits): that is the 40 random bits and the rate limits.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Crockford's base32 alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX: &str = "CELAEST-";
const MAX_CODE: usize = 10;
const RANDOM: usize = 8;
const CHECKSUM: usize = 4;
/// Longest text that can be a key, in bytes; anything longer is refused before it is looked at. A key has at
/// most 34 characters, and what comes from a letter has spaces and dashes of up to three bytes between them.
pub const MAX_LENGTH: usize = 128;

/// A well-formed license key in canonical upper case.
///
/// Well-formed is not genuine: see [`LicenseKey::verify`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LicenseKey(String);

/// The text is not a license key, or the product code cannot be part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a license key")
    }
}

impl std::error::Error for InvalidKey {}

impl LicenseKey {
    /// Reads a key as people type and paste it: in any case, with white space of any kind and characters
    /// that nobody sees, with or without dashes of any kind, and with the letters that Crockford's alphabet
    /// leaves out for the digits they look like.
    ///
    /// # Errors
    /// [`InvalidKey`] when the text does not have the shape of a key.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidKey);
        }
        let typed: String = text
            .chars()
            .filter(|typed| !separates(*typed))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let rest = typed
            .strip_prefix(PREFIX.trim_end_matches('-'))
            .filter(|rest| rest.is_ascii())
            .ok_or(InvalidKey)?;
        let code = rest.len().checked_sub(RANDOM + CHECKSUM);
        let (code, drawn) = rest.split_at(code.ok_or(InvalidKey)?);
        if !is_product_code(code) {
            return Err(InvalidKey);
        }
        let drawn: String = drawn.chars().map(meant).collect();
        if !drawn.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(InvalidKey);
        }
        let (random, checksum) = drawn.split_at(RANDOM);
        Ok(Self(format!("{PREFIX}{code}-{random}-{checksum}")))
    }

    /// Makes the key of `product_code` from 40 random bits.
    ///
    /// # Errors
    /// [`InvalidKey`] when the product code is not 1 to 10 of `A-Z0-9`.
    pub fn generate(
        product_code: &str,
        random: [u8; 5],
        secret: &[u8],
    ) -> Result<Self, InvalidKey> {
        if !is_product_code(product_code) {
            return Err(InvalidKey);
        }
        let bits = random
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let mut key = format!("{PREFIX}{product_code}-");
        push_base32(&mut key, bits, RANDOM);
        let checksum = checksum(&key, secret);
        key.push('-');
        key.extend(checksum.map(char::from));
        Ok(Self(key))
    }

    /// Whether the checksum was made with one of these secrets, tried in their order.
    #[must_use]
    pub fn verify_any<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) -> bool {
        secrets
            .into_iter()
            .any(|secret| self.verify(secret.as_bytes()))
    }

    /// Whether the checksum was made with `secret`. Compares in constant time.
    #[must_use]
    pub fn verify(&self, secret: &[u8]) -> bool {
        // Both halves exist: the constructor checked the shape.
        let (signed, given) = self.0.split_at(self.0.len() - CHECKSUM);
        let expected = checksum(&signed[..signed.len() - 1], secret);
        expected.ct_eq(given.as_bytes()).into()
    }

    /// The canonical text. It is a secret of its holder: never log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What may be shown of a key: its last four characters.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("…{}", &self.0[self.0.len() - CHECKSUM..])
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({})", self.hint())
    }
}

/// Whether `code` may stand as the product code of a key: 1 to 10 of `A-Z0-9`.
#[must_use]
pub fn is_product_code(code: &str) -> bool {
    (1..=MAX_CODE).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether a character says nothing: what mail programs and word processors put between the parts of a key
/// instead of a plain hyphen, and around them.
fn separates(typed: char) -> bool {
    typed.is_whitespace()
        || matches!(
            typed,
            '-'
                // Soft hyphen; hyphens, dashes and the horizontal bar; hyphen bullet; minus.
                | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}'
                // Small and full-width forms.
                | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
                // No width: spaces and joiners, marks of direction, word joiner, byte order mark.
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// The digit that a letter outside the alphabet is read as.
fn meant(typed: char) -> char {
    match typed {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    }
}

fn push_base32(text: &mut String, bits: u64, length: usize) {
    for place in (0..length).rev() {
        text.push(char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]));
    }
}

/// The first 20 bits of HMAC-SHA256 over everything before the checksum.
fn checksum(signed: &str, secret: &[u8]) -> [u8; CHECKSUM] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    let digest = mac.finalize().into_bytes();
    let bits = u32::from_be_bytes([0, digest[0], digest[1], digest[2]]) >> 4;
    [15, 10, 5, 0].map(|shift| ALPHABET[(bits >> shift) as usize & 31])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &[u8] = b"test-secret";

    #[test]
    fn a_generated_key_verifies_only_with_its_secret() {
        let key = LicenseKey::generate("MKT", [1, 2, 3, 4, 5], SECRET).unwrap();
        // Computed with another implementation.
        assert_eq!(key.as_str(), "CELAEST-MKT-04106105-DHHM");
        assert!(key.verify(SECRET));
        assert!(!key.verify(b"another"));
        let lower = LicenseKey::parse(&key.as_str().to_lowercase()).unwrap();
        assert_eq!(lower, key);
    }

    #[test]
    fn a_key_is_good_as_long_as_its_secret_is_listed() {
        let [old, new] = ["old", "new"]
            .map(|secret| LicenseKey::generate("MKT", [9, 8, 7, 6, 5], secret.as_bytes()).unwrap());
        assert_ne!(old, new);
        for key in [&old, &new] {
            assert!(key.verify_any(["new", "old"]));
            assert!(!key.verify_any(["another"]) && !key.verify_any([]));
        }
        assert!(new.verify_any(["new"]) && !old.verify_any(["new"]));
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "CELAEST",
            "CELAEST-MKT-A8F9D2E1",
            "CELAEST--A8F9D2E1-7B3C",
            "MKT-A8F9D2E1-7B3C",
            "CELAEST-MKT-A8F9D2EU-7B3C",
            "CELAEST-MKT-A8F9D2E1-7B3C.",
            "CELAEST-MKT-Ａ8F9D2E1-7B3C",
            "CELAEST_MKT_A8F9D2E1_7B3C",
            "CELAEST-ABCDEFGHIJK-A8F9D2E1-7B3C",
            "CELAEST-MK\u{0}-A8F9D2E1-7B3C",
            "CELAEST-MÑT-A8F9D2E1-7B3C",
        ] {
            assert!(LicenseKey::parse(text).is_err(), "{text:?}");
        }
        assert!(LicenseKey::parse(&"A".repeat(10_000)).is_err());
    }

    /// Where a character is missing the parts are read shifted, and the checksum says so.
    #[test]
    fn a_missing_character_is_noticed() {
        let key = LicenseKey::generate("MKT", [1, 2, 3, 4, 5], SECRET).unwrap();
        for at in PREFIX.len()..key.as_str().len() {
            let mut text = key.as_str().to_owned();
            if text.remove(at) != '-' {
                let read = LicenseKey::parse(&text);
                assert!(!read.is_ok_and(|read| read.verify(SECRET)), "{text}");
            }
        }
    }

    #[test]
    fn a_key_is_read_as_people_type_it() {
        let key = LicenseKey::parse("CELAEST-OIL-A0F1D2E1-7B30").unwrap();
        for typed in [
            "celaest-oil-a0f1d2e1-7b30",
            " CELAEST-OIL-A0F1D2E1-7B30 ",
            "CELAESTOILA0F1D2E17B30",
            "CELAEST OIL A0F1 D2E1 7B30",
            "CELAEST-OIL-AOFID2EL-7B3O",
            "CELAEST-OIL-A0F1D2E1-7B30\r\n",
            "\u{feff}CELAEST-OIL-\n  A0F1D2E1-7B30\u{a0}",
            "CELAEST\u{2013}OIL\u{2014}A0F1D2E1\u{2212}7B30",
            "CELAEST\u{2011}OIL\u{2010}A0F1\u{ad}D2E1\u{2012}7B30",
            "CELAEST－OIL\u{3000}A0F1D2E1\u{200b}\u{2015}7B30",
            "CELAEST \u{2014} OIL \u{2014} A0F1 \u{2014} D2E1 \u{2014} 7B30",
        ] {
            assert_eq!(LicenseKey::parse(typed).as_ref(), Ok(&key), "{typed:?}");
        }
    }

    #[test]
    fn debug_shows_only_a_hint() {
        let key = LicenseKey::parse("CELAEST-MKT-A8F9D2E1-7B3C").unwrap();
        assert_eq!(format!("{key:?}"), "LicenseKey(…7B3C)");
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".*") {
            let _ = LicenseKey::parse(&text).map(|key| key.verify(SECRET));
        }

        /// What stands between the characters of a key never makes another one of it.
        #[test]
        fn separators_say_nothing(
            random: [u8; 5],
            between in proptest::collection::vec("[\\s\\u{a0}\\u{2010}-\\u{2015}\\u{2212}\\u{200b}-]{0,1}", 26),
        ) {
            let key = LicenseKey::generate("MKT", random, SECRET).unwrap();
            let typed = key.as_str().chars().zip(&between).map(|(c, between)| format!("{c}{between}"));
            prop_assert_eq!(LicenseKey::parse(&typed.collect::<String>()), Ok(key));
        }

        #[test]
        fn round_trip(code in "[A-Z0-9]{1,10}", random: [u8; 5]) {
            let key = LicenseKey::generate(&code, random, SECRET).unwrap();
            prop_assert_eq!(LicenseKey::parse(key.as_str()).unwrap(), key.clone());
            prop_assert!(key.verify(SECRET));
        }
    }

    /// A changed character goes unnoticed once in 2^20; none of these thousands
    /// of (fixed) corruptions does.
    #[test]
    fn one_wrong_character_is_noticed() {
        for seed in 0..40_u8 {
            let random = [seed, seed.wrapping_mul(37), 7, seed ^ 0x5a, 200];
            let key = LicenseKey::generate("CRM", random, SECRET).unwrap();
            let text = key.as_str().as_bytes();
            for place in PREFIX.len()..text.len() {
                for other in ALPHABET {
                    if text[place] == b'-' || text[place] == *other {
                        continue;
                    }
                    let mut changed = text.to_vec();
                    changed[place] = *other;
                    let changed = LicenseKey::parse(std::str::from_utf8(&changed).unwrap());
                    assert!(!changed.unwrap().verify(SECRET));
                }
            }
        }
    }
}
