//! A statement under construction: SQL, parameters, and what its constraints mean to the caller.

use crate::error::Error;
use crate::platform::postgres::Statement;
use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

/// A value that can be a parameter. Everything travels as text; the SQL casts it.
pub trait Bind {
    /// The text, or `None` for NULL.
    fn text(&self) -> Option<String>;
}

macro_rules! bind_display {
    ($($ty:ty),*) => {
        $(impl Bind for $ty {
            fn text(&self) -> Option<String> {
                Some(self.to_string())
            }
        })*
    };
}

bind_display!(
    str,
    String,
    Uuid,
    bool,
    i32,
    i64,
    u32,
    u64,
    usize,
    serde_json::Value
);

impl Bind for DateTime<Utc> {
    fn text(&self) -> Option<String> {
        Some(self.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn text(&self) -> Option<String> {
        (**self).text()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn text(&self) -> Option<String> {
        self.as_ref().and_then(Bind::text)
    }
}

/// A statement with its parameters.
#[derive(Debug, Clone)]
pub struct Query {
    statement: Statement,
    constraints: Vec<(&'static str, Error)>,
}

/// Starts a statement. The text is the program's own; values go in with [`Query::bind`].
pub fn sql(text: impl Into<String>) -> Query {
    Query {
        statement: Statement {
            sql: text.into(),
            params: Vec::new(),
        },
        constraints: Vec::new(),
    }
}

/// An ILIKE pattern for text that contains `part` literally; none for no part, or an empty one.
pub fn containing(part: Option<&str>) -> Option<String> {
    let part = part.filter(|part| !part.is_empty())?;
    let escaped = part
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    Some(format!("%{escaped}%"))
}

/// The assignments of an UPDATE of `alias` that sets, of these columns with their types, those that the
/// JSON object in the parameter `given` has.
pub fn patched(alias: &str, given: &str, columns: &[(&str, &str)]) -> String {
    let set = columns.iter().map(|(name, kind)| {
        let value = match *kind {
            "jsonb" => format!("{given}::jsonb->'{name}'"),
            kind => format!("({given}::jsonb->>'{name}')::{kind}"),
        };
        format!("{name} = CASE WHEN {given}::jsonb ? '{name}' THEN {value} ELSE {alias}.{name} END")
    });
    set.collect::<Vec<_>>().join(", ")
}

impl Query {
    /// The next parameter: `$1`, `$2`, …
    pub fn bind(mut self, value: impl Bind) -> Self {
        self.statement.params.push(value.text());
        self
    }

    /// A value as the next parameter; returns its place, `$1`, `$2`, ….
    pub(super) fn push(&mut self, value: Option<String>) -> String {
        self.statement.params.push(value);
        format!("${}", self.statement.params.len())
    }

    /// The same parameters with this text.
    pub(super) fn of(mut self, text: String) -> Self {
        self.statement.sql = text;
        self
    }

    /// The same statement going on.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.statement.sql.push_str(more);
        self
    }

    /// A statement made around this one, with the same parameters.
    pub fn wrapped(mut self, around: impl FnOnce(&str) -> String) -> Self {
        self.statement.sql = around(&self.statement.sql);
        self
    }

    /// How many parameters there are: the place of the last one.
    pub fn places(&self) -> usize {
        self.statement.params.len()
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.statement.sql
    }

    #[cfg(test)]
    pub(super) fn params(&self) -> &[Option<String>] {
        &self.statement.params
    }

    /// Violating `constraint`, or failing with that SQLSTATE, is the caller's mistake: `error` is the answer.
    pub fn on(mut self, constraint: &'static str, error: impl Into<Error>) -> Self {
        self.constraints.push((constraint, error.into()));
        self
    }

    pub(super) fn constraints(&self) -> &[(&'static str, Error)] {
        &self.constraints
    }

    pub(super) fn into_statement(self) -> Statement {
        self.statement
    }

    pub(super) fn into_rows(mut self) -> Self {
        self.statement.sql = format!(
            "WITH q AS ({}) SELECT coalesce(json_agg(q), '[]')::text FROM q",
            self.statement.sql
        );
        self
    }

    pub(super) fn into_row(mut self) -> Self {
        self.statement.sql = format!(
            "WITH q AS ({}) SELECT row_to_json(q)::text FROM q",
            self.statement.sql
        );
        self
    }
}

impl Bind for celaest_domain::calendar::BillingCycle {
    fn text(&self) -> Option<String> {
        Some(self.as_str().into())
    }
}
