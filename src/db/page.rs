//! One page of a list: what is asked for, and what is found.

use super::raw::Raw;
use super::rows::Key;
use crate::error::{Code, Error, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use celaest_domain::calendar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use uuid::Uuid;

/// Rows of a table that grows without end are counted up to here, and skipped up to here.
pub const MOST_COUNTED: u64 = 10_000;

/// Sort direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Largest first.
    #[default]
    Desc,
}

impl Order {
    /// What an ORDER BY says, with the direction for each `{}`.
    pub fn applied(self, by: &str) -> String {
        by.replace("{}", self.sql())
    }

    /// The SQL keyword.
    pub fn sql(self) -> &'static str {
        match self {
            Order::Asc => "ASC",
            Order::Desc => "DESC",
        }
    }
}

/// Which page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Counted from 1.
    pub page: u32,
    /// Rows on a full page, at most 100.
    pub per_page: u32,
    /// The direction that is asked for.
    pub order: Option<Order>,
    /// Where the page before ended, as its `next_cursor` said.
    pub cursor: Option<String>,
}

impl Page {
    /// The direction: the largest first, unless something else is asked for.
    pub fn direction(&self) -> Order {
        self.order.unwrap_or_default()
    }

    /// The same page of a list that has the smallest first, unless something else is asked for.
    pub fn rising(mut self) -> Self {
        self.order.get_or_insert(Order::Asc);
        self
    }

    /// How many rows come before this page.
    ///
    /// # Errors
    /// 422 when that is more than a table that grows without end skips, 400 for a cursor where there is none.
    pub fn offset(&self, growing: bool) -> Result<u64> {
        if !growing && self.cursor.is_some() {
            return Err(not_a_cursor());
        }
        let offset = u64::from(self.page.saturating_sub(1)) * u64::from(self.per_page);
        match growing && offset > MOST_COUNTED {
            true => Err(Error::field(
                "page",
                "is more than 10000 rows away: follow meta.next_cursor instead",
            )),
            false => Ok(offset),
        }
    }

    /// The condition that leaves out everything up to the cursor; `put` makes a parameter of a value.
    ///
    /// # Errors
    /// 400 for a cursor that is not one of this list.
    pub fn beyond(
        &self,
        key: Key,
        alias: &str,
        mut put: impl FnMut(Option<String>) -> String,
    ) -> Result<String> {
        let Some(text) = &self.cursor else {
            return Ok(String::new());
        };
        let values = Cursor::decode(text, key).ok_or_else(not_a_cursor)?;
        let columns = columns(key, alias);
        let places: Vec<_> = key
            .iter()
            .zip(values)
            .map(|((_, kind), value)| format!("{}::{kind}", put(Some(value))))
            .collect();
        let places = places.join(", ");
        let than = match self.direction() {
            Order::Asc => '>',
            Order::Desc => '<',
        };
        Ok(format!(" AND ({columns}) {than} ({places})"))
    }
}

fn not_a_cursor() -> Error {
    Error::new(Code::InvalidQuery).with_details(json!({ "problem": "not a cursor of this list" }))
}

fn columns(key: Key, alias: &str) -> String {
    let all: Vec<_> = key
        .iter()
        .map(|(name, _)| format!("{alias}.{name}"))
        .collect();
    all.join(", ")
}

fn ordered(key: Key, alias: &str, page: &Page) -> String {
    let all: Vec<_> = key
        .iter()
        .map(|(name, _)| format!("{alias}.{name} {}", page.direction().sql()))
        .collect();
    all.join(", ")
}

/// The key of the last row of a page, as text that nobody has to understand.
pub struct Cursor;

impl Cursor {
    /// The column that makes the key of a page's last row, where more may follow: the page is full, or it was
    /// cut.
    pub fn column(key: Key, alias: &str, page: &Page) -> String {
        let (columns, by, rows) = (
            columns(key, alias),
            ordered(key, alias, page),
            page.per_page,
        );
        format!(
            "(SELECT json_build_array({columns}) FROM chosen {alias}
              WHERE (SELECT count(*) FROM kept) = {rows}
                OR (SELECT count(*) FROM kept) < (SELECT count(*) FROM chosen)
              ORDER BY {by} OFFSET (SELECT greatest(count(*), 1) - 1 FROM kept) LIMIT 1)"
        )
    }

    /// The column that makes the key of the last row that was looked at, where there may be more.
    pub fn end(key: Key, alias: &str, page: &Page, looked_at: u32) -> String {
        let (columns, by, last) = (
            columns(key, alias),
            ordered(key, alias, page),
            looked_at - 1,
        );
        format!(
            "(SELECT json_build_array({columns}) FROM looked {alias} ORDER BY {by} OFFSET {last} LIMIT 1)"
        )
    }

    /// The text of a key.
    pub fn encode(values: &[&str]) -> String {
        URL_SAFE_NO_PAD.encode(json!(values).to_string())
    }

    fn of(values: &RawValue) -> String {
        URL_SAFE_NO_PAD.encode(values.get())
    }

    /// The key of a text, if its values have the key's types. They go on as they are written here: PostgreSQL reads
    /// less than those who read them, as no offset of 16 hours and no `1e-99999`.
    fn decode(text: &str, key: Key) -> Option<Vec<String>> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let values: Vec<serde_json::Value> = serde_json::from_slice(&bytes).ok()?;
        if values.len() != key.len() {
            return None;
        }
        let texts = values.into_iter().map(|value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        });
        key.iter()
            .zip(texts)
            .map(|((_, kind), text)| match *kind {
                "uuid" => Uuid::try_parse(&text).ok().map(|id| id.to_string()),
                "timestamptz" => calendar::parse_timestamp(&text).map(|at| at.to_rfc3339()),
                "text" => (!text.contains('\0')).then_some(text),
                "numeric" => {
                    let number = text.parse::<f64>().ok().filter(|one| one.is_finite());
                    number.map(|number| number.to_string())
                }
                kind => {
                    let most = match kind {
                        "smallint" => i64::from(i16::MAX),
                        "integer" => i64::from(i32::MAX),
                        _ => i64::MAX,
                    };
                    let number = text.parse::<i64>().ok();
                    let number = number.filter(|number| (-most..=most).contains(number));
                    number.map(|number| number.to_string())
                }
            })
            .collect()
    }
}

/// The numbers of a page.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Meta {
    /// Counted from 1.
    pub page: u32,
    /// Rows on a full page.
    pub per_page: u32,
    /// Rows on all pages, exact. Left out where there are more than anybody counts: see `total_at_least`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How many pages there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_pages: Option<u64>,
    /// There are at least so many rows: not all were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_at_least: Option<u64>,
    /// What `cursor` is for the page after this one, in lists that grow without end. A search looks at 10,000
    /// rows at a time: follow it also from a page that found less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Further rows of this page would have made the answer larger than 1 MB: follow `next_cursor`, or ask for
    /// fewer rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
}

/// What [`super::rows::Rows::page`] makes.
#[derive(Debug, Deserialize)]
pub struct Found {
    total: u64,
    /// Not all rows were counted.
    capped: bool,
    /// Only some rows were looked at.
    #[serde(default)]
    partly: bool,
    rows: Raw<Vec<()>>,
    /// Rows were left off, so that the answer stays small.
    #[serde(default)]
    cut: bool,
    next: Option<Box<RawValue>>,
}

/// One page of a list.
#[derive(Debug)]
pub struct Listing<T> {
    /// The rows, JSON.
    pub rows: Raw<Vec<T>>,
    /// The numbers.
    pub meta: Meta,
}

impl<T> Listing<T> {
    /// A page whose rows the statement made as `T`.
    pub fn of(listing: Listing<()>) -> Self {
        Self {
            rows: listing.rows.into_made(),
            meta: listing.meta,
        }
    }
}

impl Listing<()> {
    /// What was found for a page.
    pub fn new(found: Found, page: &Page) -> Self {
        let all = Some(found.total)
            .filter(|total| !found.partly && (!found.capped || *total <= MOST_COUNTED));
        Self {
            rows: found.rows,
            meta: Meta {
                page: page.page,
                per_page: page.per_page,
                total: all,
                total_pages: all.map(|total| total.div_ceil(u64::from(page.per_page.max(1)))),
                total_at_least: match all {
                    None => Some(found.total.min(MOST_COUNTED)),
                    Some(_) => None,
                },
                next_cursor: found.next.as_deref().map(Cursor::of),
                truncated: found.cut.then_some(true),
            },
        }
    }
}
