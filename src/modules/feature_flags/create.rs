//! `POST /api/feature-flags`

use super::model::{FeatureFlag, NewFeatureFlag};
use super::queries::{COLUMNS, ENVIRONMENTS, FLAG, TARGET_ORGANIZATIONS, TARGET_USERS};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::Created;
use serde_json::json;

/// Creates a flag.
pub async fn create(
    permit: Permit<FeatureFlagsWrite>,
    Once(key, Body(new)): Once<Body<NewFeatureFlag>>,
) -> Outcome<Created<FeatureFlag>> {
    if !new.target_type.is_complete(new.target_percentage) {
        return Err(Error::field("target_percentage", "is required").into());
    }
    let mut tx = permit.begin_once(key).await?;
    let set = Set::new()
        .to("flag_key = {}", new.flag_key)
        .to("name = {}", new.name)
        .to("description = {}", new.description)
        .to("is_enabled = {}::boolean", new.is_enabled)
        .to("target_type = {}", new.target_type.as_str())
        .to("target_percentage = {}::int", new.target_percentage)
        .to(TARGET_USERS, json!(new.target_users))
        .to(TARGET_ORGANIZATIONS, json!(new.target_organizations))
        .to(ENVIRONMENTS, json!(new.environments))
        .to("overrides = {}::jsonb", json!(new.overrides))
        .to("metadata = {}::jsonb", json!(new.metadata))
        .to("updated_by = {}::uuid", permit.principal.user_id);
    let query = set
        .insert("feature_flags", "f", COLUMNS)
        .on("feature_flags_flag_key_key", Code::FlagKeyTaken);
    let flag: Raw<FeatureFlag> = tx.one(query, Code::Internal).await?;
    tx.record_new(&FLAG, "feature_flag.created", &flag);
    permit.commit(tx, Created::raw(&flag)).await
}
