//! Text as PostgreSQL takes it: without NUL, and not too much.

use std::borrow::Cow;

/// At most `length` characters.
#[must_use]
pub fn clip(text: &str, length: usize) -> Cow<'_, str> {
    match text.len() <= length && !text.contains('\0') {
        true => text.into(),
        false => text.chars().filter(|c| *c != '\0').take(length).collect(),
    }
}

/// At most `length` bytes, and no character in parts.
#[must_use]
pub fn clip_bytes(text: &str, length: usize) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| *c != '\0') {
        if kept.len() + c.len_utf8() > length {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_column_takes() {
        for (text, length, characters, bytes) in [
            ("", 3, "", ""),
            ("abc", 3, "abc", "abc"),
            ("abcd", 3, "abc", "abc"),
            ("a\0bcd", 3, "abc", "abc"),
            ("\0\0a", 3, "a", "a"),
            ("añbc", 3, "añb", "añ"),
            ("aañ", 3, "aañ", "aa"),
        ] {
            assert_eq!(clip(text, length), characters, "{text:?}");
            assert_eq!(clip_bytes(text, length), bytes, "{text:?}");
        }
    }
}
