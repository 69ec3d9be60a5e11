//! The SQL of the settings. They belong to no tenant: every transaction here is the system's.

use crate::db::{Query, Tx, sql};
use crate::error::Result;
use celaest_domain::settings::{Key, Stored};
use serde_json::{Value, json};
use uuid::Uuid;

/// What is stored, with nothing sensitive in it: a [`super::model::Table`].
pub fn table() -> Query {
    sql("SELECT json_build_object(
           'values', coalesce(json_object_agg(key, value) FILTER (WHERE NOT is_sensitive), '{}'),
           'traces', coalesce(json_object_agg(key, json_build_object(
             'updated_at', updated_at, 'updated_by', updated_by)), '{}'))::text
         FROM system_config")
}

/// Everything that is stored. Until the transaction ends nobody else changes it: settings change
/// rarely, and what the audit log says of before and after must be what was there.
pub async fn lock(tx: &mut Tx) -> Result<Stored> {
    tx.execute(sql("LOCK TABLE system_config IN SHARE ROW EXCLUSIVE MODE"))
        .await?;
    tx.value(sql(
        "SELECT coalesce(json_object_agg(key, value), '{}')::text FROM system_config",
    ))
    .await
}

/// Stores one value, or with null takes it away.
pub async fn set(tx: &mut Tx, changes: &[(Key, Value)], user: Uuid) -> Result<()> {
    let rows: Vec<Value> = changes
        .iter()
        .map(|(key, value)| {
            json!({
                "key": key.as_str(), "value": value, "description": key.description(),
                "is_sensitive": key.is_sensitive(),
            })
        })
        .collect();
    tx.execute(
        sql("WITH change AS (
               SELECT c->>'key' AS key, c->'value' AS value, c->>'description' AS description,
                 (c->>'is_sensitive')::boolean AS is_sensitive
               FROM jsonb_array_elements($1::jsonb) AS t(c)
             ), gone AS (
               DELETE FROM system_config s USING change c WHERE s.key = c.key AND c.value = 'null'
             )
             INSERT INTO system_config AS s (key, value, description, is_sensitive, updated_by)
             SELECT key, value, description, is_sensitive, $2::uuid FROM change WHERE value <> 'null'
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, description = excluded.description,
               is_sensitive = excluded.is_sensitive, updated_by = excluded.updated_by")
        .bind(json!(rows))
        .bind(user),
    )
    .await
}
