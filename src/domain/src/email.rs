//! E-mail addresses in the one form in which they are stored and compared.
//!
//! Two texts are one address when this form of them is the same, and nothing else decides that: the
//! database compares bytes, and what the sign-in provider confirms is brought into the same form first.
//! What would look like another address, or like nothing, is none.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use url::Host;

/// Longest address, in bytes (RFC 5321 allows no more on the wire).
const MAX_BYTES: usize = 254;
/// Longest part before the `@`, in bytes.
const MAX_LOCAL_BYTES: usize = 64;

/// The form of an address in which it is stored and compared: composed (NFC), in small letters, with the
/// domain as it stands in DNS. `None` for what is no address: whether somebody reads it only a mail tells.
#[must_use]
pub fn normalised(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let address = format!("{}@{}", local_part(local)?, domain_part(domain)?);
    (address.len() <= MAX_BYTES).then_some(address)
}

/// Whether it is an address.
#[must_use]
pub fn is_email(text: &str) -> bool {
    normalised(text).is_some()
}

fn local_part(text: &str) -> Option<String> {
    let composed = text.nfc().map(small).collect::<Option<String>>()?;
    // What stands for another letter, as the sign of the Kelvin does, is no spelling of that one.
    let stands_for_ascii =
        |c: char| !c.is_ascii() && std::iter::once(c).nfc().any(|c| c.is_ascii());
    let is_itself = !text.contains(stands_for_ascii);
    let written = composed.split('.').all(|word| !word.is_empty())
        && composed.chars().all(|c| is_atom(c) || c == '.');
    (is_itself && written && composed.len() <= MAX_LOCAL_BYTES).then_some(composed)
}

/// The small letter of one; a letter of which it is several, or that of another alphabet, has none.
fn small(c: char) -> Option<char> {
    let mut letters = c.to_lowercase();
    let first = letters.next()?;
    (letters.next().is_none() && first.is_ascii() == c.is_ascii()).then_some(first)
}

/// What needs no quotes (RFC 5322 atext, RFC 6532), as far as it can be seen.
fn is_atom(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        false => is_visible_letter(c),
    }
}

/// A letter, a digit or a mark on one. Writing directions, joiners and blanks are none of these; what
/// remains without a shape of its own is named.
fn is_visible_letter(c: char) -> bool {
    const WITHOUT_SHAPE: [char; 9] = [
        '\u{34f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{180f}', '\u{3164}',
        '\u{ffa0}', '\u{180e}',
    ];
    let selects_a_variant =
        matches!(c, '\u{180b}'..='\u{180d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}');
    (c.is_alphanumeric() || canonical_combining_class(c) != 0)
        && !WITHOUT_SHAPE.contains(&c)
        && !selects_a_variant
}

fn domain_part(text: &str) -> Option<String> {
    let plain = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || c == '-' || c == '.',
        false => is_visible_letter(c),
    };
    if !text.chars().all(plain) {
        return None;
    }
    // An address of the network is no domain.
    let Ok(Host::Domain(domain)) = Host::parse(text) else {
        return None;
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let (_, last) = domain.rsplit_once('.')?;
    let has_letter = last.bytes().any(|b| b.is_ascii_alphabetic());
    (has_letter && domain.split('.').all(is_label)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_address_has_one_form() {
        for (one, other) in [
            ("Ana.Acosta+x@Acme.Test", "ana.acosta+x@acme.test"),
            ("O'Hara@sub.acme.co", "o'hara@sub.acme.co"),
            // Composed and decomposed, large and small.
            ("JOSE\u{301}@acme.test", "jos\u{e9}@acme.test"),
            ("\u{d1}andu@acme.test", "\u{f1}andu@acme.test"),
            // As people and as DNS write it.
            ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example"),
            ("a@B\u{dc}CHER.example", "a@xn--bcher-kva.example"),
            ("a@bu\u{308}cher.example", "a@xn--bcher-kva.example"),
            (
                "\u{928}\u{93e}\u{92e}@acme.test",
                "\u{928}\u{93e}\u{92e}@acme.test",
            ),
        ] {
            assert_eq!(normalised(one), normalised(other), "{one} {other}");
            assert!(is_email(one), "{one}");
        }
        assert_eq!(normalised("A@B.Co").as_deref(), Some("a@b.co"));
    }

    #[test]
    fn what_looks_like_another_address_is_none() {
        let plain = normalised("ivan.k@acme.test");
        for text in [
            // Small letters that another alphabet, or two letters, would become.
            "\u{130}van.k@acme.test",
            "ivan.\u{212a}@acme.test",
            // Nothing that can be seen, and what turns the writing round.
            "ivan\u{200b}.k@acme.test",
            "ivan\u{200d}.k@acme.test",
            "ivan.k\u{ad}@acme.test",
            "\u{202e}ivan.k@acme.test",
            "ivan.k\u{2066}@acme.test",
            "\u{feff}ivan.k@acme.test",
            "ivan\u{3164}.k@acme.test",
            "ivan.k\u{fe0f}@acme.test",
            "ivan.k@ac\u{200b}me.test",
            "ivan.k@acme\u{ad}.test",
            "ivan.k@acme.te\u{200d}st",
        ] {
            assert_eq!(normalised(text), None, "{text:?}");
        }
        // A letter of another alphabet is another letter.
        assert_ne!(normalised("iv\u{430}n.k@acme.test"), plain);
    }

    #[test]
    fn what_is_no_address() {
        let long = format!("{}@acme.test", "a".repeat(65));
        let longer = format!("a@{}.test", "b.".repeat(130));
        for text in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a b@c.co",
            "a@b..co",
            ".a@b.co",
            "a.@b.co",
            "a..b@c.co",
            "a@@b.co",
            "a@b@c.co",
            "a@-b.co",
            "a@b-.co",
            "a@b.co\n",
            "a@b.co.",
            "<a@b.co>",
            "a@b.co,c@d.co",
            "a@b_c.co",
            "\"a\"@b.co",
            "a@[1.2.3.4]",
            "a@1.2.3.4",
            "a@0x7f.1",
            "a@x.123",
            "a@x.1e3.4",
            "a@%61.com",
            "a@b.co/x",
            "a@b.co:25",
            "a@\u{ff11}.\u{ff12}.3.4",
            "a@xn--a.co",
            &long,
            &longer,
        ] {
            assert_eq!(normalised(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_itself(local in "[\\PC]{1,12}", domain in "[\\w\\-ñüÉß漢.]{1,16}\\.(com|test|es)") {
            if let Some(form) = normalised(&format!("{local}@{domain}")) {
                prop_assert_eq!(normalised(&form), Some(form.clone()));
                let invisible = |c: char| c.is_whitespace() || c.is_control();
                prop_assert!(!form.contains(invisible), "{}", form);
            }
        }

        #[test]
        fn no_input_panics(text in "\\PC*") {
            let _ = normalised(&text);
        }

        #[test]
        fn large_and_small_are_one(text in "[a-zA-Z0-9.+_-]{1,20}@[a-z]{1,9}\\.[a-z]{2,3}") {
            prop_assert_eq!(normalised(&text), normalised(&text.to_ascii_uppercase()));
        }
    }
}
