//! Value types that requests share.

pub use crate::db::page::Order;
use crate::db::{Bind, Set};
use celaest_domain::calendar;
use chrono::{DateTime, NaiveDate, Utc};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use uuid::Uuid;

/// A moment: RFC 3339, or a date alone (midnight UTC). Years 1970 to 9999, as everywhere
/// in the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Moment(pub DateTime<Utc>);

impl Moment {
    fn parse(text: &str) -> Option<Self> {
        let midnight = || {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            let midnight = date.and_hms_opt(0, 0, 0)?.and_utc();
            Some(midnight).filter(|at| calendar::is_supported(*at))
        };
        calendar::parse_timestamp(text).or_else(midnight).map(Self)
    }
}

impl Bind for Moment {
    fn text(&self) -> Option<String> {
        self.0.text()
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("expected an RFC 3339 time or a date, years 1970 to 9999")
        })
    }
}

/// A field of a PATCH body: left out, set to null, or given a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not in the body: stays as it is.
    #[default]
    Absent,
    /// `null`: is cleared.
    Null,
    /// Is set.
    Value(T),
}

impl<T> Patch<T> {
    /// Whether the field was in the body.
    pub fn is_present(&self) -> bool {
        !matches!(self, Patch::Absent)
    }

    /// What is there after the change, of what is there `now`.
    pub fn or<U>(&self, now: Option<U>, read: impl FnOnce(&T) -> U) -> Option<U> {
        match self {
            Patch::Absent => now,
            Patch::Null => None,
            Patch::Value(value) => Some(read(value)),
        }
    }

    /// What is there after the change, where it cannot be cleared, of what is there `now`.
    pub fn over(&self, now: T) -> T
    where
        T: Clone,
    {
        self.value().cloned().unwrap_or(now)
    }

    /// The value, if one was given.
    pub fn value(&self) -> Option<&T> {
        match self {
            Patch::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// An identifier in the one spelling that it has in paths, logs and caches: 36 characters, with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ident(pub Uuid);

impl<'de> Deserialize<'de> for Ident {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Some(&*text)
            .filter(|text| text.len() == 36)
            .and_then(|text| Uuid::try_parse(text).ok())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("not a UUID with hyphens"))
    }
}

impl Bind for Ident {
    fn text(&self) -> Option<String> {
        self.0.text()
    }
}

impl JsonSchema for Ident {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Uuid::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Uuid::json_schema(generator)
    }
}

/// For what always has a value.
///
/// # Errors
/// For null.
pub fn not_null<T>(patch: &Patch<T>, _: &()) -> garde::Result {
    match patch {
        Patch::Null => Err(garde::Error::new("cannot be cleared")),
        _ => Ok(()),
    }
}

/// What can be told of a patch to the statement that carries it out.
impl Set {
    /// `column = {}::type` where the field was in the body; null clears the column.
    pub fn patch<T: Bind>(self, assignment: &str, patch: &Patch<T>) -> Self {
        match patch {
            Patch::Absent => self,
            Patch::Null => self.to(assignment, None::<&str>),
            Patch::Value(value) => self.to(assignment, value),
        }
    }

    /// [`Set::patch`] for a column that holds JSON.
    pub fn patch_json<T: Serialize>(self, assignment: &str, patch: &Patch<T>) -> Self {
        match patch {
            Patch::Absent => self,
            Patch::Null => self.to(assignment, None::<&str>),
            Patch::Value(value) => self.to(assignment, json!(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Patch::Null, Patch::Value))
    }
}

/// What is set must be within its own bounds.
impl<T: Validate> Validate for Patch<T> {
    type Context = T::Context;

    fn validate_into(
        &self,
        context: &Self::Context,
        parent: &mut dyn FnMut() -> garde::Path,
        report: &mut garde::Report,
    ) {
        if let Patch::Value(value) = self {
            value.validate_into(context, parent, report);
        }
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Patch_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert!(Moment::parse("2026-02-02").is_some());
        assert!(Moment::parse("2026-02-02T10:00:00-06:00").is_some());
        for wrong in [
            "",
            "2026",
            "300000-01-01",
            "+300000-01-01T00:00:00Z",
            "2026-02-30",
            "0000-01-01",
            "2026-02-02T10:00:60Z",
            "\u{0}",
        ] {
            assert!(Moment::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_identifier_has_one_spelling() {
        let read = |text: &str| serde_json::from_value::<Ident>(text.into());
        let id = "40000000-0000-4000-8000-00000000000a";
        assert_eq!(read(id).unwrap().0.to_string(), id);
        for other in [
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
        ] {
            assert!(read(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn patch_tells_absent_from_null() {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            notes: Patch<String>,
        }
        let notes = |text| serde_json::from_str::<Body>(text).unwrap().notes;
        assert_eq!(notes("{}"), Patch::Absent);
        assert_eq!(notes(r#"{"notes":null}"#), Patch::Null);
        assert_eq!(notes(r#"{"notes":"x"}"#), Patch::Value("x".into()));
    }
}
