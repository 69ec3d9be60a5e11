//! What people write about themselves and their organization: names, web addresses,
//! names in links, languages.

use url::Url;

/// Longest name in a link, in characters.
const MAX_SLUG: usize = 100;
/// Longest web address, in characters.
const MAX_URL: usize = 500;

/// Whether the character can stand in a name: it is seen where it stands. No control character and no end of a
/// line; nothing that turns the direction of what is written (Unicode's Bidi_Control), which would let one name pass
/// for another; no blank without a width. The joiners of emoji and of Persian and Indic scripts are seen.
#[must_use]
pub fn is_seen(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
        )
}

/// Whether it is an `https` address with a host and without a password in it.
#[must_use]
pub fn is_https_url(text: &str) -> bool {
    is_url(text, &["https"])
}

/// Whether it is an `http` or `https` address.
#[must_use]
pub fn is_web_url(text: &str) -> bool {
    is_url(text, &["https", "http"])
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    // The parser forgives blanks and line ends; a column would keep them.
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    clean
        && text.chars().count() <= MAX_URL
        && Url::parse(text).is_ok_and(|url| {
            schemes.contains(&url.scheme())
                && url.host_str().is_some_and(|host| !host.is_empty())
                && url.username().is_empty()
                && url.password().is_none()
        })
}

/// Whether it is a language, with or without a region: `es`, `es-MX`.
#[must_use]
pub fn is_locale(text: &str) -> bool {
    let (language, region) = match text.split_once('-') {
        Some((language, region)) => (language, Some(region)),
        None => (text, None),
    };
    let letters = |part: &str, ok: fn(&u8) -> bool| part.bytes().all(|b| ok(&b));
    (2..=3).contains(&language.len())
        && letters(language, u8::is_ascii_lowercase)
        && region.is_none_or(|region| {
            (region.len() == 2 && letters(region, u8::is_ascii_uppercase))
                || (region.len() == 3 && letters(region, u8::is_ascii_digit))
        })
}

/// Whether it can be dialled: digits with the usual marks between them.
#[must_use]
pub fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (3..=20).contains(&digits)
        && text.len() <= 50
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b" +-()./#x".contains(&b))
}

/// Whether it is a colour as `#RRGGBB`.
#[must_use]
pub fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether it can stand in a link: lower-case letters, digits, single hyphens.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    (1..=MAX_SLUG).contains(&text.len())
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// A name as it can stand in a link; `None` when nothing of it can.
#[must_use]
pub fn slug_of(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match plain(c) {
            Some(letters) => slug.push_str(letters),
            None if c.is_ascii_alphanumeric() => slug.push(c),
            None if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            None => {}
        }
    }
    slug.truncate(MAX_SLUG);
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// The Latin letters that stand for one with a mark.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => "a",
        'é' | 'è' | 'ê' | 'ë' => "e",
        'í' | 'ì' | 'î' | 'ï' => "i",
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => "o",
        'ú' | 'ù' | 'û' | 'ü' => "u",
        'ñ' => "n",
        'ç' => "c",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_seen_can_stand_in_a_name() {
        for name in [
            "株式会社",
            "Ñandú & Söhne, S. L.",
            "شركة",
            "👩\u{200D}💻",
            "می\u{200C}خواهم",
            "a\u{A0}b",
        ] {
            assert!(name.chars().all(is_seen), "{name:?}");
        }
        for hidden in [
            '\0', '\t', '\n', '\u{7F}', '\u{85}', '\u{2028}', '\u{202E}', '\u{2067}', '\u{200B}',
            '\u{200F}', '\u{FEFF}',
        ] {
            assert!(!is_seen(hidden), "{hidden:?}");
        }
    }

    #[test]
    fn web_addresses() {
        assert!(is_https_url("https://cdn.acme.test/a.png?x=1"));
        assert!(is_web_url("http://acme.test") && !is_https_url("http://acme.test"));
        for bad in [
            "",
            "acme.test",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://",
            "https://u:p@acme.test",
            " https://acme.test",
            "https://ac me.test",
            "ftp://acme.test",
        ] {
            assert!(!is_web_url(bad), "{bad:?}");
        }
    }

    #[test]
    fn small_things() {
        assert!(is_locale("es") && is_locale("es-MX") && is_locale("es-419"));
        for bad in ["", "e", "ES", "es-", "es-mx", "es_MX", "es-MX-x", "español"] {
            assert!(!is_locale(bad), "{bad}");
        }
        assert!(is_phone("+52 (55) 1234-5678") && is_phone("123"));
        for bad in ["", "12", "call me", "+++", "1234567890123456789012"] {
            assert!(!is_phone(bad), "{bad}");
        }
        assert!(is_color("#3B82F6") && is_color("#3b82f6"));
        for bad in ["", "#", "3B82F6", "#3B82F", "#3B82F6F", "#GGGGGG", "#é12é"] {
            assert!(!is_color(bad), "{bad}");
        }
    }

    #[test]
    fn slugs() {
        assert_eq!(slug_of("Acme Software").unwrap(), "acme-software");
        assert_eq!(
            slug_of("  ¡Ñandú & Compañía, S.A.! ").unwrap(),
            "nandu-compania-s-a"
        );
        assert_eq!(slug_of("漢字"), None);
        assert_eq!(slug_of(""), None);
        assert!(is_slug("a") && is_slug("a-1"));
        for bad in ["", "-", "a-", "-a", "a--b", "A", "a b", "ñ"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_made_slug_is_one(name in "\\PC*") {
            if let Some(slug) = slug_of(&name) {
                prop_assert!(is_slug(&slug), "{slug}");
            }
        }

        #[test]
        fn no_input_panics(text in "\\PC*") {
            let _ = (is_web_url(&text), is_locale(&text), is_phone(&text), is_color(&text));
        }
    }
}
