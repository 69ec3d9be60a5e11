//! What an API key looks like, and the form in which it is stored.
//!
//! `celk_`, eight characters to recognise it by, 43 that are its secret, and six that check the rest: they
//! are keyed, so a string that was never one of ours is refused without asking anybody.

use crate::error::Result;
use crate::platform::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use celaest_domain::hex::hex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const MARK: &str = "celk_";
/// Length of the visible beginning: the mark and eight characters.
pub const PREFIX_CHARS: usize = 13;
const CHECK_CHARS: usize = 6;
/// Length of a key.
const CHARS: usize = PREFIX_CHARS + 43 + CHECK_CHARS;

/// A new key, with what is stored of it.
pub struct Drawn {
    /// The key, shown once.
    pub key: String,
    /// The visible beginning.
    pub prefix: String,
    /// What it is found by.
    pub hash: String,
}

/// Draws a new key.
///
/// # Errors
/// When the platform has no random numbers.
pub fn draw(pepper: &str) -> Result<Drawn> {
    let name = URL_SAFE_NO_PAD.encode(random::bytes::<6>()?);
    let secret = URL_SAFE_NO_PAD.encode(random::bytes::<32>()?);
    let mut key = format!("{MARK}{name}{secret}");
    let check = check(&key, pepper);
    key.push_str(&check);
    Ok(Drawn {
        prefix: key.chars().take(PREFIX_CHARS).collect(),
        hash: hash(&key, pepper),
        key,
    })
}

/// Whether a text is meant to be one of our keys.
pub fn is_meant(text: &str) -> bool {
    text.starts_with(MARK)
}

/// The form in which a key is stored; nothing for a text that cannot be one. Its check says which of the
/// peppers it was made with.
pub fn read<'a>(text: &str, peppers: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if text.len() != CHARS || !text.is_ascii() || !text.starts_with(MARK) {
        return None;
    }
    let (checked, given) = text.split_at(CHARS - CHECK_CHARS);
    let made_with = |pepper: &&str| {
        let genuine = check(checked, pepper).as_bytes().ct_eq(given.as_bytes());
        bool::from(genuine)
    };
    let pepper = peppers.into_iter().find(made_with)?;
    Some(hash(text, pepper))
}

/// HMAC-SHA256 under the pepper, in hexadecimal.
pub fn hash(key: &str, pepper: &str) -> String {
    hex(&keyed(key, pepper))
}

/// 36 bits of another HMAC-SHA256 under the pepper.
fn check(checked: &str, pepper: &str) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(keyed(&format!("check:{checked}"), pepper));
    text.truncate(CHECK_CHARS);
    text
}

fn keyed(text: &str, pepper: &str) -> Vec<u8> {
    // HMAC takes keys of any length, so this cannot fail; an empty hash would match nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(pepper.as_bytes()) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_key_is_read_with_its_pepper_only() {
        let drawn = draw("p").unwrap();
        assert_eq!(drawn.key.len(), CHARS);
        assert_eq!(read(&drawn.key, ["p"]), Some(drawn.hash.clone()));
        assert_eq!(drawn.hash.len(), 64);
        assert_eq!(read(&drawn.key, ["another"]), None);
        assert!(drawn.key.starts_with(&drawn.prefix));
    }

    #[test]
    fn a_key_is_found_under_the_pepper_that_made_it() {
        let [old, new] = ["old", "new"].map(|pepper| draw(pepper).unwrap());
        for drawn in [&old, &new] {
            assert_eq!(read(&drawn.key, ["new", "old"]), Some(drawn.hash.clone()));
        }
        assert_eq!(read(&new.key, ["new"]), Some(new.hash));
        assert_eq!(read(&old.key, ["new"]), None);
    }

    #[test]
    fn what_cannot_be_a_key_is_not_looked_for() {
        let key = draw("p").unwrap().key;
        let long = format!("{key}A");
        for wrong in [
            "",
            "celk_",
            &key[1..],
            &long,
            &"ñ".repeat(CHARS / 2),
            &"A".repeat(10_000),
        ] {
            assert_eq!(read(wrong, ["p"]), None, "{wrong}");
        }
        for at in 0..CHARS {
            let mut changed = key.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(
                read(&String::from_utf8(changed).unwrap(), ["p"]),
                None,
                "{at}"
            );
        }
    }
}
