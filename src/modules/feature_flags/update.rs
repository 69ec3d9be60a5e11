//! `PATCH /api/feature-flags/{key}`

use super::model::{FeatureFlag, FeatureFlagChanges};
use super::queries::{self, ENVIRONMENTS, TARGET_ORGANIZATIONS, TARGET_USERS};
use crate::db::Set;
use crate::error::Error;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Key;
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::Data;

/// Changes a flag.
pub async fn update(
    permit: Permit<FeatureFlagsWrite>,
    Key(name): Key,
    Once(key, Body(wanted)): Once<Body<FeatureFlagChanges>>,
) -> Outcome<Data<FeatureFlag>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, &name).await?;
    let facts = &before.facts;
    let target = wanted.target_type.value().unwrap_or(&facts.target_type);
    let percentage = wanted
        .target_percentage
        .or(facts.target_percentage, |share| *share);
    if !target.is_complete(percentage) {
        return Err(Error::field("target_percentage", "is required").into());
    }
    let set = Set::new()
        .patch("name = {}", &wanted.name)
        .patch("description = {}", &wanted.description)
        .patch("is_enabled = {}::boolean", &wanted.is_enabled)
        .patch("target_type = {}", &wanted.target_type)
        .patch("target_percentage = {}::int", &wanted.target_percentage)
        .patch_json(TARGET_USERS, &wanted.target_users)
        .patch_json(TARGET_ORGANIZATIONS, &wanted.target_organizations)
        .patch_json(ENVIRONMENTS, &wanted.environments)
        .patch_json(
            r#"overrides = coalesce({}::jsonb, '{"users": { }, "organizations": { }}')"#,
            &wanted.overrides,
        )
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata)
        .along("updated_by = {}::uuid", permit.principal.user_id);
    let after = queries::change(&mut tx, "feature_flag.updated", before, set).await?;
    permit.commit(tx, Data::raw(&after)).await
}
