//! `PATCH /api/settings`

use super::model::{Setting, SettingsChanges, Table};
use super::{queries, read, sealed};
use crate::config::Config;
use crate::db::facts::Subject;
use crate::error::Result;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, SettingsWrite};
use crate::http::reply::Data;
use crate::settings;
use celaest_domain::settings::{Key, Stored};
use serde_json::{Map, Value};

/// What the log learns of the settings: one thing, without an id, of the system as a whole and in no
/// organization's log.
const SETTINGS: Subject = Subject {
    kind: "settings",
    tenant: "organization_id",
    secret: &[Key::EmailApiKey.as_str()],
    told: None,
};

/// Changes settings, all or none.
pub async fn update(
    permit: Permit<SettingsWrite>,
    Once(key, Body(SettingsChanges(wanted))): Once<Body<SettingsChanges>>,
) -> Outcome<Data<Vec<Setting>>> {
    let config = permit.call.config;
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx).await?;
    let changes = wanted
        .into_iter()
        .filter(|(key, value)| before.would_change(*key, value))
        .map(|(key, value)| Ok((key, stored(config, key, value)?)))
        .collect::<Result<Vec<_>>>()?;
    if !changes.is_empty() {
        queries::set(&mut tx, &changes, permit.principal.user_id).await?;
        let (was, is) = sides(&before, &changes);
        tx.record_between(&SETTINGS, "settings.changed", &was, &is);
    }
    let table: Table = tx.value(queries::table()).await?;
    let reply = Data::of(&read::shown(&table, config));
    let call = permit.call.clone();
    tx.after_commit(async move {
        settings::changed(&call).await;
        Ok(())
    });
    permit.commit(tx, reply).await
}

/// The form in which a value is stored.
fn stored(config: &Config, key: Key, value: Value) -> Result<Value> {
    match &value {
        Value::String(text) if key.is_sensitive() => sealed::seal(config, key, text),
        _ => Ok(value),
    }
}

/// What changes, before and after.
fn sides(before: &Stored, changes: &[(Key, Value)]) -> (Value, Value) {
    let name = |key: &Key| key.as_str().to_owned();
    let was: Map<_, _> = changes
        .iter()
        .map(|(key, _)| (name(key), before.raw(*key).cloned().unwrap_or_default()))
        .collect();
    let is: Map<_, _> = changes
        .iter()
        .map(|(key, value)| (name(key), value.clone()))
        .collect();
    (was.into(), is.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_sensitive_is_redacted() {
        let sensitive = Key::ALL.iter().filter(|key| key.is_sensitive());
        let sensitive: Vec<_> = sensitive.map(|key| key.as_str()).collect();
        assert_eq!(SETTINGS.secret, sensitive);

        let before: Stored =
            serde_json::from_value(json!({ "email.api_key": {"version": 1, "sealed": "x"} }))
                .unwrap();
        let changes = [
            (Key::EmailApiKey, json!({"version": 1, "sealed": "y"})),
            (Key::TelemetryRetentionDays, json!(7)),
        ];
        let (was, is) = sides(&before, &changes);
        assert_eq!(
            SETTINGS.changes(&was, &is),
            json!({
                "before": {"email.api_key": "[redacted]", "telemetry.retention_days": null},
                "after": {"email.api_key": "[redacted]", "telemetry.retention_days": 7},
            })
        );
    }
}
