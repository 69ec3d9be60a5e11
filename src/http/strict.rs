//! What is read from outside is read strictly: bodies and query strings alike.

use crate::db::page::{Order, Page};
use crate::error::{Code, Error, Result, plain};
use celaest_domain::json::{self, Misread, Parsed};
use garde::Validate;
use schemars::JsonSchema;
use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// Parses JSON strictly.
///
/// # Errors
/// 400 naming the place that is wrong, also within what is kept as it came: see [`Sound`].
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = object(bytes)?;
    let Parsed { value, is_typed } = parse_closely(text)?;
    // Types refuse names that are there twice, and only so written is there a NUL character in JSON.
    if !is_typed || text.contains("\\u0000") {
        let Sound = json::read(text).map_err(misread)?;
    }
    Ok(value)
}

/// JSON of which every reader makes the same, and that PostgreSQL can store: no object has a name twice (RFC
/// 8259, 4: what becomes of those is anybody's guess), and no text has a NUL character.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Self, E> {
        match text.contains('\0') {
            true => Err(E::custom("text must not contain the NUL character")),
            false => Ok(self),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<Self, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            Self.visit_str(&name)?;
            fields.next_value::<Self>()?;
            if let Some(twice) = names.replace(name) {
                return Err(de::Error::custom(format!("duplicate field `{twice}`")));
            }
        }
        Ok(self)
    }
}

fn refuse(path: String, problem: String) -> Error {
    Error::new(Code::InvalidBody).with_details(json!({ "path": path, "problem": problem }))
}

/// [`parse`] for what has parts that are kept as they came, and parsed later.
///
/// # Errors
/// As [`parse`], but for what is wrong within those parts.
pub fn parse_parts<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    parse_closely(object(bytes)?).map(|parsed| parsed.value)
}

#[inline(never)]
fn parse_closely<T: DeserializeOwned>(text: &str) -> Result<Parsed<T>> {
    let wrong = match json::parse_closely(text) {
        Ok(parsed) => return Ok(parsed),
        Err(wrong) => wrong,
    };
    match whole_numbers(text) {
        Some(same) => json::parse_closely(&same).map_err(misread),
        None => Err(misread(wrong)),
    }
}

fn object(bytes: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refuse(String::new(), "the body is not UTF-8".into()))?;
    let start = text.trim_start_matches([' ', '\t', '\r', '\n']);
    match start.starts_with('[') {
        true => Err(refuse(String::new(), "the body is not an object".into())),
        false => Ok(text),
    }
}

fn misread(wrong: Misread) -> Error {
    refuse(wrong.path, plain(&wrong.problem))
}

/// The text with 35 for 35.0, which is the same number: languages that have only one kind of number write
/// it so. `None` when there is nothing of the kind.
fn whole_numbers(text: &str) -> Option<String> {
    let mut same = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        if !inside && (first.is_ascii_digit() || first == '-') {
            let end = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+' | 'e' | 'E'));
            length = end.unwrap_or(rest.len());
            let number = &rest[..length];
            let whole = number
                .split_once('.')
                .filter(|(_, zeros)| !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0'));
            same.push_str(whole.map_or(number, |(whole, _)| whole));
        } else {
            inside ^= first == '"' && !escaped;
            escaped = inside && first == '\\' && !escaped;
            same.push(first);
        }
        rest = &rest[length..];
    }
    (same.len() < text.len()).then_some(same)
}

/// Checks the bounds that the type declares.
///
/// # Errors
/// 422 with the problems of each field.
pub fn validate<T: Validate<Context = ()>>(value: &T) -> Result<()> {
    value.validate().map_err(out_of_bounds)
}

fn out_of_bounds(report: garde::Report) -> Error {
    let mut fields = Map::new();
    for (path, problem) in report.iter() {
        let list = fields.entry(path.to_string()).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(json!(problem.message()));
        }
    }
    Error::new(Code::ValidationFailed).with_details(json!({ "fields": fields }))
}

/// A query string as `T`.
///
/// # Errors
/// 400 for what `T` does not know or cannot be, 422 for values out of bounds.
#[inline(never)]
pub fn query<T: DeserializeOwned + Validate<Context = ()>>(text: Option<&str>) -> Result<T> {
    let query: T = serde_urlencoded::from_str(without_nul(text)?).map_err(misspelt)?;
    validate(&query)?;
    Ok(query)
}

fn without_nul(text: Option<&str>) -> Result<&str> {
    let text = text.unwrap_or_default();
    match text.contains("%00") {
        true => Err(wrong_query("text must not contain the NUL character")),
        false => Ok(text),
    }
}

fn misspelt(error: serde_urlencoded::de::Error) -> Error {
    wrong_query(&plain(&error.to_string()))
}

/// What every list knows, of [`AskedPage`].
pub const LISTED: &[&str] = &["page", "per_page", "order", "cursor"];
/// What a search knows of it.
pub const RANKED: &[&str] = &["page", "per_page"];

/// Takes out of a query string what is `known` of a page, and leaves the list's own filters.
///
/// # Errors
/// As [`query`].
pub fn page(text: Option<&str>, known: &[&str]) -> Result<(Page, String)> {
    let (mut common, mut rest) = (Vec::new(), Vec::new());
    for pair in text.unwrap_or_default().split('&') {
        let name = pair.split('=').next().unwrap_or_default();
        match known.contains(&name) {
            true => common.push(pair),
            false => rest.push(pair),
        }
    }
    let asked: AskedPage = query(Some(&common.join("&")))?;
    let page = Page {
        page: within(asked.page),
        per_page: within(asked.per_page),
        order: asked.order,
        cursor: asked.cursor,
    };
    Ok((page, rest.join("&")))
}

/// A number whose bounds were checked.
fn within(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What every list knows.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "Page")]
pub struct AskedPage {
    /// Direction. Lists have the largest, the latest first, unless they say otherwise.
    order: Option<Order>,
    /// Counted from 1.
    #[garde(range(min = 1, max = 1_000_000))]
    page: i64,
    /// Rows on a page.
    #[garde(range(min = 1, max = 100))]
    per_page: i64,
    /// For lists that grow without end: where the page before ended, as its `next_cursor` said.
    #[garde(length(bytes, max = 500))]
    cursor: Option<String>,
}

impl Default for AskedPage {
    fn default() -> Self {
        Self {
            order: None,
            page: 1,
            per_page: 20,
            cursor: None,
        }
    }
}

/// Refuses query parameters where there are none.
///
/// # Errors
/// 400.
pub fn no_query(query: Option<&str>) -> Result<()> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => Err(wrong_query("this route has no query parameters")),
    }
}

fn wrong_query(problem: &str) -> Error {
    Error::new(Code::InvalidQuery).with_details(json!({ "problem": problem }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_as_it_came_is_looked_through() {
        let refused = |text: &str| {
            let error = parse::<Map<String, Value>>(text.as_bytes()).err()?;
            let details = error.details?;
            let problem = details["problem"].as_str()?.split(" at line ").next()?;
            Some(format!("{}: {problem}", details["path"].as_str()?))
        };
        let nul = "text must not contain the NUL character";
        for (text, wrong) in [
            (r#"{"a":"x\u0000"}"#, format!("a: {nul}")),
            (r#"{"a":"\\\u0000"}"#, format!("a: {nul}")),
            (r#"{"a":[{"\u0000":1}]}"#, format!("a[0].\0: {nul}")),
            (r#"{"a":1,"a":1}"#, "a: duplicate field `a`".into()),
            (
                r#"{"m":{"b":[0,{"k":1,"\u006b":2}]}}"#,
                "m.b[1].k: duplicate field `k`".into(),
            ),
        ] {
            assert_eq!(refused(text), Some(wrong), "{text}");
        }
        for text in [
            r#"{"a":"\\u0000","b":{"a":[null,true,1e3,-1,{"a":""}]}}"#,
            "{}",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
    }

    #[test]
    fn a_whole_number_may_have_zeros_behind_its_point() {
        let same = |text| whole_numbers(text);
        assert_eq!(
            same(r#"{"a":35.0,"b":[-1.00]}"#).as_deref(),
            Some(r#"{"a":35,"b":[-1]}"#)
        );
        for other in [
            r#"{"a":35,"b":3.5,"c":1.0e3}"#,
            r#"{"a":"35.0","b":"\"1.0"}"#,
            r#"{"a":1.}"#,
        ] {
            assert_eq!(same(other), None, "{other}");
        }
        #[derive(Debug, serde::Deserialize)]
        struct Numbers {
            n: i64,
        }
        assert_eq!(parse::<Numbers>(br#"{"n":35.0}"#).unwrap().n, 35);
        assert!(parse::<Numbers>(br#"{"n":35.5}"#).is_err());
    }

    #[test]
    fn the_wrong_place_is_named() {
        #[derive(Debug, serde::Deserialize)]
        struct Inner {
            #[allow(dead_code, reason = "only parsed")]
            n: u32,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Outer {
            #[allow(dead_code, reason = "only parsed")]
            list: Vec<Inner>,
        }
        let error = parse::<Outer>(br#"{"list":[{"n":1},{"n":"x"}]}"#).unwrap_err();
        assert_eq!(error.details.unwrap()["path"], "list[1].n");
        assert!(parse::<Outer>(b"\xff").is_err());
        assert!(parse::<Outer>(br#"{"list":[]} x"#).is_err());
    }
}
