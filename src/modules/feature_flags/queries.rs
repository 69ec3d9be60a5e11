//! The SQL of feature flags. They belong to no tenant: every transaction may read them, only the
//! system's (a super administrator's) may write.

use super::model::FeatureFlag;
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Set, Tx};
use crate::error::{Code, Error, Result};
use celaest_domain::flags::Target;
use celaest_domain::json;
use serde::Deserialize;

/// The columns of [`FeatureFlag`], from alias `f`.
pub const COLUMNS: &str = "f.id, f.flag_key, f.name, f.description, f.is_enabled, f.target_type,
    f.target_percentage, coalesce(f.target_users, '{}') AS target_users,
    coalesce(f.target_organizations, '{}') AS target_organizations, f.environments,
    '{\"users\": {}, \"organizations\": {}}'::jsonb || f.overrides AS overrides, f.metadata,
    f.created_at, f.updated_at, f.updated_by";

/// What a flag is evaluated by for the `user_id` and `organization_id` of alias `s`, as
/// `celaest_domain::flags::Flag` reads it, from alias `f`: of the lists only what names them, for there may be
/// many flags, each with thousands of others.
pub const RULES: &str = "f.flag_key, f.is_enabled, f.environments, f.target_type, f.target_percentage,
    json_build_object(
      'users', CASE WHEN f.overrides->'users' ? s.user_id::text
        THEN json_build_object(s.user_id, f.overrides->'users'->s.user_id::text) ELSE '{}' END,
      'organizations', CASE WHEN f.overrides->'organizations' ? s.organization_id::text
        THEN json_build_object(s.organization_id, f.overrides->'organizations'->s.organization_id::text) ELSE '{}' END
    ) AS overrides,
    CASE WHEN s.user_id = ANY (f.target_users) THEN ARRAY[s.user_id] END AS target_users,
    CASE WHEN s.organization_id = ANY (f.target_organizations) THEN ARRAY[s.organization_id] END AS target_organizations";

/// Assignments from JSON; null is an empty list.
pub const TARGET_USERS: &str =
    "target_users = ARRAY(SELECT jsonb_array_elements_text({}::jsonb)::uuid)";
/// As [`TARGET_USERS`].
pub const TARGET_ORGANIZATIONS: &str =
    "target_organizations = ARRAY(SELECT jsonb_array_elements_text({}::jsonb)::uuid)";
/// As [`TARGET_USERS`].
pub const ENVIRONMENTS: &str = "environments = ARRAY(SELECT jsonb_array_elements_text({}::jsonb))";

/// What the log learns of a flag. It is the whole system's, so it is in no organization's log, and nobody
/// outside is told.
pub const FLAG: Subject = Subject {
    kind: "feature_flag",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// Every flag: they are nobody's in particular.
pub fn all() -> Rows {
    Rows::of("feature_flags", "f")
}

/// The flag with this key.
pub fn one(key: &str) -> Rows {
    all().when("f.flag_key = {}", Some(key))
}

/// The fields of a flag that rules look at.
#[derive(Debug, Deserialize)]
pub struct Facts {
    /// Its name for programs.
    pub flag_key: String,
    /// The kill switch.
    pub is_enabled: bool,
    /// Whom it is meant for.
    pub target_type: Target,
    /// The share of users, in per cent.
    pub target_percentage: Option<u32>,
}

/// A flag whose row is held.
pub struct Locked {
    /// The row.
    pub row: Raw<FeatureFlag>,
    /// The parts.
    pub facts: Facts,
}

/// Reads a flag and holds its row until the transaction ends.
///
/// # Errors
/// 404.
pub async fn lock(tx: &mut Tx, key: &str) -> Result<Locked> {
    let row: Raw<FeatureFlag> = tx.one(one(key).lock(COLUMNS), Code::NotFound).await?;
    let facts = json::read(row.text()).map_err(Error::internal)?;
    Ok(Locked { row, facts })
}

/// Changes a flag and records it. Setting what already is so changes nothing, not even who changed it last.
///
/// # Errors
/// When the database refuses.
pub async fn change(
    tx: &mut Tx,
    event: &'static str,
    before: Locked,
    set: Set,
) -> Result<Raw<FeatureFlag>> {
    let query = one(&before.facts.flag_key).set(set, COLUMNS);
    let after: Option<Raw<FeatureFlag>> = tx.row(query).await?;
    let after = after.unwrap_or_else(|| before.row.clone());
    tx.record_change(&FLAG, event, &before.row, &after);
    Ok(after)
}
