//! Bounds that fields of several modules share, for `#[garde(custom(…))]`.

use crate::http::types::Patch;
use celaest_domain::billing::money::Currency;
use celaest_domain::{access, contact, email, json};
use garde::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The most JSON that a free-form field keeps, in bytes.
const MAX_OBJECT_BYTES: usize = 16 * 1024;
/// Of what is no currency.
pub const NO_CURRENCY: &str = "is not a currency such as USD (ISO 4217)";
/// The most scopes that a list has.
const MAX_SCOPES: usize = 50;

/// A field that may hold a `T`.
pub trait Given<T: ?Sized> {
    /// What it holds.
    fn given(&self) -> Option<&T>;
}

impl Given<str> for String {
    fn given(&self) -> Option<&str> {
        Some(self)
    }
}

impl Given<str> for Option<String> {
    fn given(&self) -> Option<&str> {
        self.as_deref()
    }
}

impl Given<str> for Patch<String> {
    fn given(&self) -> Option<&str> {
        self.value().map(String::as_str)
    }
}

impl Given<[String]> for Vec<String> {
    fn given(&self) -> Option<&[String]> {
        Some(self)
    }
}

impl Given<[String]> for Option<Vec<String>> {
    fn given(&self) -> Option<&[String]> {
        self.as_deref()
    }
}

impl Given<[String]> for Patch<Vec<String>> {
    fn given(&self) -> Option<&[String]> {
        self.value().map(Vec::as_slice)
    }
}

impl Given<Map<String, Value>> for Map<String, Value> {
    fn given(&self) -> Option<&Map<String, Value>> {
        Some(self)
    }
}

impl<T> Given<T> for Patch<T> {
    fn given(&self) -> Option<&T> {
        self.value()
    }
}

/// What a field holds, if it holds anything.
///
/// # Errors
/// `problem`, when it is not good.
pub fn check<T: ?Sized>(
    value: &impl Given<T>,
    good: impl FnOnce(&T) -> bool,
    problem: &str,
) -> Result {
    if value.given().is_none_or(good) {
        Ok(())
    } else {
        Err(Error::new(problem))
    }
}

/// One line that says something, of up to `MAX` characters.
pub fn line<const MAX: usize>(value: &impl Given<str>, _: &()) -> Result {
    let good = |text: &str| {
        !text.trim().is_empty() && text.chars().count() <= MAX && text.chars().all(contact::is_seen)
    };
    check(
        value,
        good,
        &format!("must be one line of 1 to {MAX} characters, none of them hidden"),
    )
}

/// Text of up to `MAX` characters.
pub fn text<const MAX: usize>(value: &impl Given<str>, _: &()) -> Result {
    let good = |text: &str| text.chars().count() <= MAX;
    check(value, good, &format!("is longer than {MAX} characters"))
}

/// An e-mail address.
pub fn email(value: &impl Given<str>, _: &()) -> Result {
    check(value, email::is_email, "is not an e-mail address")
}

/// An `https` address.
pub fn https_url(value: &impl Given<str>, _: &()) -> Result {
    check(value, contact::is_https_url, "is not an https address")
}

/// An `http` or `https` address.
pub fn web_url(value: &impl Given<str>, _: &()) -> Result {
    check(value, contact::is_web_url, "is not a web address")
}

/// A telephone number.
pub fn phone(value: &impl Given<str>, _: &()) -> Result {
    check(value, contact::is_phone, "is not a telephone number")
}

/// A language: `es` or `es-MX`.
pub fn locale(value: &impl Given<str>, _: &()) -> Result {
    check(
        value,
        contact::is_locale,
        "is not a language such as es or es-MX",
    )
}

/// A colour.
pub fn color(value: &impl Given<str>, _: &()) -> Result {
    check(value, contact::is_color, "is not a colour as #RRGGBB")
}

/// A currency.
pub fn currency(value: &impl Given<str>, _: &()) -> Result {
    check(
        value,
        |text| Currency::parse(text).is_some_and(|currency| currency.is_known()),
        NO_CURRENCY,
    )
}

/// A country.
pub fn country(value: &impl Given<str>, _: &()) -> Result {
    check(
        value,
        |text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()),
        "must be two capital letters, as ES",
    )
}

/// A code that people type: letters, digits and hyphens.
pub fn code(value: &impl Given<str>, _: &()) -> Result {
    let good = |text: &str| {
        (2..=50).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    check(
        value,
        good,
        "must be 2 to 50 letters, digits, hyphens and underscores",
    )
}

/// A name in links.
pub fn slug(value: &impl Given<str>, _: &()) -> Result {
    check(
        value,
        contact::is_slug,
        "must be 1 to 100 lower-case letters, digits and single hyphens",
    )
}

/// Up to `MAX` short lines, each once.
pub fn names<const MAX: usize>(value: &impl Given<[String]>, _: &()) -> Result {
    let good = |name: &String| {
        !name.trim().is_empty() && name.chars().count() <= 100 && name.chars().all(contact::is_seen)
    };
    let distinct = |list: &[String]| list.iter().collect::<BTreeSet<_>>().len() == list.len();
    check(
        value,
        |list| list.len() <= MAX && list.iter().all(good) && distinct(list),
        &format!("must be at most {MAX} different names of 1 to 100 characters"),
    )
}

/// Scopes that name something.
pub fn scopes(value: &impl Given<[String]>, _: &()) -> Result {
    check(
        value,
        |list| list.len() <= MAX_SCOPES,
        "has more than 50 entries",
    )?;
    check(
        value,
        |list| list.iter().all(|scope| access::is_known_scope(scope)),
        "every entry must be resource:verb, resource:* or *",
    )
}

/// JSON of up to 16 KB, as it will be stored.
pub fn small_object(value: &impl Given<Map<String, Value>>, _: &()) -> Result {
    let small = |map: &Map<String, Value>| json::fields_len(map) <= MAX_OBJECT_BYTES;
    check(value, small, "is larger than 16 KB as it is stored")
}

/// Whatever belongs to a reported event, of up to 8 KB as it will be stored.
pub fn properties(value: &impl Given<Map<String, Value>>, _: &()) -> Result {
    let small = |map: &Map<String, Value>| json::fields_len(map) <= MAX_OBJECT_BYTES / 2;
    check(value, small, "is larger than 8 KB as it is stored")
}
