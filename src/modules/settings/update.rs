//! `PATCH /api/settings`

use super::model::{Setting, SettingsChanges, Table};
use super::{current, queries, read, sealed};
use crate::config::Config;
use crate::db::facts::{Action, Fact};
use crate::error::Result;
use crate::http::body::Body;
use crate::http::permit::{Permit, SettingsWrite};
use crate::http::reply::Data;
use crate::platform::clock;
use celaest_domain::settings::{Key, Stored};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Changes settings, all or none.
pub async fn update(
    permit: Permit<SettingsWrite>,
    Body(SettingsChanges(wanted)): Body<SettingsChanges>,
) -> Result<Data<Vec<Setting>>> {
    let config = permit.call.config;
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx).await?;
    let changes = wanted
        .into_iter()
        .filter(|(key, value)| differs(*key, value, &before))
        .map(|(key, value)| Ok((key, stored(config, key, value)?)))
        .collect::<Result<Vec<_>>>()?;
    if !changes.is_empty() {
        queries::set(&mut tx, &changes, permit.principal.user_id).await?;
        // Of the system as a whole, so in no organization's log, not even in that of who did it; and
        // without an id, for the settings are one thing.
        tx.record(Fact {
            id: Uuid::new_v4(),
            organization_id: None,
            action: Action::Update,
            event: "settings.changed",
            resource_type: "settings",
            resource_id: Uuid::nil(),
            changes: audited(&before, &changes),
            payload: None,
        });
    }
    let table: Table = tx.value(queries::table()).await?;
    permit.commit(tx).await?;
    let answer = Data::of(&read::shown(&table, config));
    current::learn(table.values, clock::now_ms());
    Ok(answer)
}

/// Whether a value changes anything. A sensitive one always does: it is not opened to be compared.
fn differs(key: Key, value: &Value, before: &Stored) -> bool {
    match before.raw(key) {
        Some(_) if key.is_sensitive() => true,
        old => old.unwrap_or(&Value::Null) != value,
    }
}

/// The form in which a value is stored.
fn stored(config: &Config, key: Key, value: Value) -> Result<Value> {
    match &value {
        Value::String(text) if key.is_sensitive() => sealed::seal(config, key, text),
        _ => Ok(value),
    }
}

/// Before and after, for the audit log.
fn audited(before: &Stored, changes: &[(Key, Value)]) -> Value {
    let shown = |key: Key, value: &Value| match value {
        Value::Null => Value::Null,
        _ if key.is_sensitive() => json!("[redacted]"),
        value => value.clone(),
    };
    let (mut was, mut is) = (Map::new(), Map::new());
    for (key, value) in changes {
        let old = before.raw(*key).unwrap_or(&Value::Null);
        was.insert(key.as_str().to_owned(), shown(*key, old));
        is.insert(key.as_str().to_owned(), shown(*key, value));
    }
    json!({ "before": was, "after": is })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_made_and_secrets_are_redacted() {
        let before: Stored = serde_json::from_value(json!({
            "telemetry.enabled": true, "email.api_key": {"version": 1, "sealed": "x"},
        }))
        .unwrap();
        assert!(!differs(Key::TelemetryEnabled, &json!(true), &before));
        assert!(differs(Key::TelemetryEnabled, &Value::Null, &before));
        assert!(!differs(Key::EmailFrom, &Value::Null, &before));
        assert!(differs(Key::EmailApiKey, &json!("x"), &before));
        assert!(!differs(Key::EmailApiKey, &Value::Null, &Stored::default()));
        let changes = [
            (Key::EmailApiKey, json!({"version": 1, "sealed": "y"})),
            (Key::TelemetryRetentionDays, json!(7)),
        ];
        assert_eq!(
            audited(&before, &changes),
            json!({
                "before": {"email.api_key": "[redacted]", "telemetry.retention_days": null},
                "after": {"email.api_key": "[redacted]", "telemetry.retention_days": 7},
            })
        );
    }
}
