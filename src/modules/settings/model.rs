//! A setting, and how settings are changed.

use celaest_domain::settings::{Key, Kind, Stored, check};
use garde::Validate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// A setting as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Setting {
    /// Its name.
    pub key: &'static str,
    /// `integer`, `boolean`, `choice`, `text`, `https_url` or `email`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The smallest number it may be, where it is one.
    pub minimum: Option<u32>,
    /// The largest.
    pub maximum: Option<u32>,
    /// What it is for.
    pub description: &'static str,
    /// What counts now. Always null for a sensitive setting.
    pub value: Value,
    /// What counts when nothing is set.
    pub default: Value,
    /// Whether the default counts.
    pub is_default: bool,
    /// Whether it is stored sealed and never shown.
    pub is_sensitive: bool,
    /// Whether something is set.
    pub is_set: bool,
    /// When it was set.
    pub updated_at: Option<String>,
    /// Who set it.
    pub updated_by: Option<Uuid>,
}

/// What is stored of a setting, without its value.
#[derive(Debug, Clone, Deserialize)]
pub struct Trace {
    /// When it was set.
    pub updated_at: String,
    /// Who set it.
    pub updated_by: Option<Uuid>,
}

/// Everything that is stored. Sensitive values are null here.
#[derive(Debug, Default, Deserialize)]
pub struct Table {
    /// By key.
    pub values: Stored,
    /// By key.
    pub traces: BTreeMap<String, Trace>,
}

impl Setting {
    /// The setting as it is; `fallback` is what the deployment's own variables say.
    pub fn new(key: Key, table: &Table, fallback: Value) -> Self {
        let trace = table.traces.get(key.as_str());
        let default = match key.default_value() {
            _ if key.is_sensitive() => Value::Null,
            Value::Null => fallback,
            default => default,
        };
        let own = table.values.own(key).filter(|_| !key.is_sensitive());
        let is_set = match key.is_sensitive() {
            true => trace.is_some(),
            false => own.is_some(),
        };
        let value = own.cloned().unwrap_or_else(|| default.clone());
        let (minimum, maximum) = match key.kind() {
            Kind::Integer { min, max } => (Some(min), Some(max)),
            _ => (None, None),
        };
        Self {
            key: key.as_str(),
            kind: key.kind().as_str(),
            minimum,
            maximum,
            description: key.description(),
            is_default: if key.is_sensitive() {
                !is_set
            } else {
                value == default
            },
            value,
            default,
            is_sensitive: key.is_sensitive(),
            is_set,
            updated_at: trace.map(|trace| trace.updated_at.clone()),
            updated_by: trace.and_then(|trace| trace.updated_by),
        }
    }
}

/// Body of `PATCH /api/settings`: values by key; null returns a setting to its default.
#[derive(Debug, Default, PartialEq)]
pub struct SettingsChanges(pub BTreeMap<Key, Value>);

impl<'de> Deserialize<'de> for SettingsChanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = SettingsChanges;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object of settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SettingsChanges, A::Error> {
                let mut changes = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    let key = Key::parse(&name)
                        .ok_or_else(|| A::Error::custom(format!("unknown setting `{name}`")))?;
                    if changes.insert(key, value).is_some() {
                        return Err(A::Error::custom(format!("duplicate setting `{name}`")));
                    }
                }
                Ok(SettingsChanges(changes))
            }
        }

        deserializer.deserialize_map(Values)
    }
}

impl Validate for SettingsChanges {
    type Context = ();

    fn validate_into(
        &self,
        (): &(),
        parent: &mut dyn FnMut() -> garde::Path,
        report: &mut garde::Report,
    ) {
        for (key, value) in &self.0 {
            if !value.is_null()
                && let Err(problem) = check(*key, value)
            {
                report.append(parent().join(key.as_str()), garde::Error::new(problem));
            }
        }
    }
}

impl JsonSchema for SettingsChanges {
    fn schema_name() -> Cow<'static, str> {
        "SettingsChanges".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> = Key::ALL
            .iter()
            .map(|key| (key.as_str().to_owned(), schema(*key)))
            .collect();
        json_schema!({
            "type": "object",
            "description": "Values by key; null returns a setting to its default.",
            "additionalProperties": false,
            "properties": properties,
        })
    }
}

fn schema(key: Key) -> Value {
    let mut schema = match key.kind() {
        Kind::Integer { min, max } => {
            json!({ "type": ["integer", "null"], "minimum": min, "maximum": max })
        }
        Kind::Boolean => json!({ "type": ["boolean", "null"] }),
        Kind::Choice(words) => {
            let words: Vec<Value> = words
                .iter()
                .map(|word| json!(word))
                .chain([Value::Null])
                .collect();
            json!({ "enum": words })
        }
        Kind::Text { max } => {
            json!({ "type": ["string", "null"], "minLength": 1, "maxLength": max })
        }
        Kind::HttpsUrl => json!({ "type": ["string", "null"], "format": "uri" }),
        Kind::Email => json!({ "type": ["string", "null"], "format": "email" }),
    };
    schema["description"] = key.description().into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::strict::{parse, validate};

    fn changes(text: &str) -> crate::error::Result<SettingsChanges> {
        let changes = parse(text.as_bytes())?;
        validate(&changes)?;
        Ok(changes)
    }

    #[test]
    fn unknown_and_doubled_keys_are_no_settings() {
        assert!(changes("{}").unwrap().0.is_empty());
        assert_eq!(changes(r#"{"email.from":null}"#).unwrap().0.len(), 1);
        for text in [
            r#"{"email":1}"#,
            r#"{"telemetry.enabled":true,"telemetry.enabled":false}"#,
            "[]",
            "1",
        ] {
            assert_eq!(changes(text).unwrap_err().code.status(), 400, "{text}");
        }
    }

    #[test]
    fn every_wrong_value_is_named() {
        let text = r#"{"telemetry.enabled":1,"email.from":"x","api.rate_limit_per_min":5}"#;
        let error = changes(text).unwrap_err();
        assert_eq!(error.code.status(), 422);
        let details = error.details.unwrap();
        let fields: Vec<_> = details["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["email.from", "telemetry.enabled"]);
    }

    #[test]
    fn a_sensitive_value_is_never_shown() {
        let table: Table = serde_json::from_value(json!({
            "values": {"email.api_key": {"version": 1, "sealed": "x"}},
            "traces": {"email.api_key": {"updated_at": "2026-01-01", "updated_by": null}},
        }))
        .unwrap();
        let setting = Setting::new(Key::EmailApiKey, &table, json!("variable"));
        assert_eq!((setting.value, setting.default), (Value::Null, Value::Null));
        assert!(setting.is_set && !setting.is_default);
    }
}
