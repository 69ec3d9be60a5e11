//! The SQL of feature flags. They belong to no tenant: every transaction may read them, only the
//! system's (a super administrator's) may write.

use super::model::FeatureFlag;
use crate::db::facts::{Action, Fact, changes};
use crate::db::{Query, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::reply::Raw;
use serde_json::Value;
use uuid::Uuid;

/// The columns of [`FeatureFlag`], from alias `f`.
pub const COLUMNS: &str = "f.id, f.flag_key, f.name, f.description, f.is_enabled, f.target_type,
    f.target_percentage, coalesce(f.target_users, '{}') AS target_users,
    coalesce(f.target_organizations, '{}') AS target_organizations, f.environments,
    '{\"users\": {}, \"organizations\": {}}'::jsonb || f.overrides AS overrides, f.metadata,
    f.created_at, f.updated_at, f.updated_by";

/// What a flag is evaluated by, as `celaest_domain::flags::Flag` reads it, from alias `f`.
pub const RULES: &str = "f.flag_key, f.is_enabled, f.environments, f.overrides, f.target_type,
    f.target_percentage, f.target_users, f.target_organizations";

/// One flag.
pub fn one(key: &str, lock: bool) -> Query {
    let lock = if lock { "FOR UPDATE" } else { "" };
    sql(format!(
        "SELECT {COLUMNS} FROM feature_flags f WHERE f.flag_key = $1 {lock}"
    ))
    .bind(key)
}

/// The flag, locked until the transaction ends.
///
/// # Errors
/// 404.
pub async fn lock(tx: &mut Tx, key: &str) -> Result<Raw<FeatureFlag>> {
    let flag: Option<Raw<FeatureFlag>> = tx.row(one(key, true)).await?;
    flag.ok_or_else(|| Error::new(Code::NotFound))
}

/// Changes the columns that `patch` names.
///
/// # Errors
/// When the database refuses.
pub async fn set(tx: &mut Tx, key: &str, patch: &Value, user: Uuid) -> Result<Raw<FeatureFlag>> {
    let changed: Option<Raw<FeatureFlag>> = tx
        .row(
            sql(format!(
                "UPDATE feature_flags f SET
                   name = coalesce($2::jsonb->>'name', f.name),
                   description = CASE WHEN $2::jsonb ? 'description' THEN $2::jsonb->>'description' ELSE f.description END,
                   is_enabled = coalesce(($2::jsonb->>'is_enabled')::boolean, f.is_enabled),
                   target_type = coalesce($2::jsonb->>'target_type', f.target_type),
                   target_percentage = CASE WHEN $2::jsonb ? 'target_percentage'
                     THEN ($2::jsonb->>'target_percentage')::int ELSE f.target_percentage END,
                   target_users = CASE WHEN $2::jsonb ? 'target_users'
                     THEN ARRAY(SELECT jsonb_array_elements_text($2::jsonb->'target_users')::uuid) ELSE f.target_users END,
                   target_organizations = CASE WHEN $2::jsonb ? 'target_organizations'
                     THEN ARRAY(SELECT jsonb_array_elements_text($2::jsonb->'target_organizations')::uuid)
                     ELSE f.target_organizations END,
                   environments = CASE WHEN $2::jsonb ? 'environments'
                     THEN ARRAY(SELECT jsonb_array_elements_text($2::jsonb->'environments')) ELSE f.environments END,
                   overrides = coalesce($2::jsonb->'overrides', f.overrides),
                   metadata = coalesce($2::jsonb->'metadata', f.metadata),
                   updated_by = $3::uuid
                 WHERE f.flag_key = $1 RETURNING {COLUMNS}"
            ))
            .bind(key)
            .bind(patch)
            .bind(user),
        )
        .await?;
    changed.ok_or_else(|| Error::new(Code::NotFound))
}

/// Before and after, changed fields only; who did it is said by the audit row itself.
pub fn difference(before: &Value, after: &Value) -> Value {
    let mut changes = changes(before, after);
    for side in ["before", "after"] {
        if let Some(fields) = changes[side].as_object_mut() {
            fields.remove("updated_by");
        }
    }
    changes
}

/// Writes a change of a flag down. Flags are the whole system's, so the audit row is in no
/// organization's log, and nobody outside is told.
pub fn record(
    tx: &mut Tx,
    action: Action,
    event: &'static str,
    flag: &Value,
    changes: Value,
) -> Result<()> {
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: None,
        action,
        event,
        resource_type: "feature_flag",
        resource_id: serde_json::from_value(flag["id"].clone()).map_err(Error::internal)?,
        changes,
        payload: None,
    });
    Ok(())
}
