//! `PATCH /api/feature-flags/{key}`

use super::model::{FeatureFlag, FeatureFlagChanges, Overrides};
use super::queries;
use crate::db::facts::Action;
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::params::Key;
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::Data;
use crate::http::types::Patch;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Changes a flag.
pub async fn update(
    permit: Permit<FeatureFlagsWrite>,
    Key(key): Key,
    Body(wanted): Body<FeatureFlagChanges>,
) -> Result<Data<FeatureFlag>> {
    let patch = patch(&wanted)?;
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx, &key).await?;
    let was = before.tree();
    let next = |field: &str| patch.get(field).unwrap_or(&was[field]).clone();
    if next("target_type") == "percentage" && next("target_percentage").is_null() {
        return Err(Error::field("target_percentage", "is required"));
    }
    let after = queries::set(
        &mut tx,
        &key,
        &Value::Object(patch),
        permit.principal.user_id,
    )
    .await?;
    let changes = queries::difference(&was, &after.tree());
    // Setting what already is so changes nothing, not even who changed it last.
    if changes["after"] == json!({}) {
        return Ok(Data::raw(&before));
    }
    queries::record(
        &mut tx,
        Action::Update,
        "feature_flag.updated",
        &was,
        changes,
    )?;
    permit.commit(tx).await?;
    Ok(Data::raw(&after))
}

/// The columns that change, as the statement reads them.
fn patch(wanted: &FeatureFlagChanges) -> Result<Map<String, Value>> {
    let mut patch = Map::new();
    required(&mut patch, "name", &wanted.name)?;
    required(&mut patch, "is_enabled", &wanted.is_enabled)?;
    required(&mut patch, "target_type", &wanted.target_type)?;
    or(&mut patch, "description", &wanted.description, Value::Null);
    or(
        &mut patch,
        "target_percentage",
        &wanted.target_percentage,
        Value::Null,
    );
    or(&mut patch, "target_users", &wanted.target_users, json!([]));
    or(
        &mut patch,
        "target_organizations",
        &wanted.target_organizations,
        json!([]),
    );
    or(&mut patch, "environments", &wanted.environments, json!([]));
    or(
        &mut patch,
        "overrides",
        &wanted.overrides,
        json!(Overrides::default()),
    );
    or(&mut patch, "metadata", &wanted.metadata, json!({}));
    Ok(patch)
}

/// A field whose null means `cleared`.
fn or<T: Serialize>(patch: &mut Map<String, Value>, name: &str, field: &Patch<T>, cleared: Value) {
    let value = match field {
        Patch::Absent => return,
        Patch::Null => cleared,
        Patch::Value(value) => json!(value),
    };
    patch.insert(name.to_owned(), value);
}

/// A field that cannot be cleared.
fn required<T: Serialize>(
    patch: &mut Map<String, Value>,
    name: &str,
    field: &Patch<T>,
) -> Result<()> {
    if matches!(field, Patch::Null) {
        return Err(Error::field(name, "cannot be cleared"));
    }
    or(patch, name, field, Value::Null);
    Ok(())
}
