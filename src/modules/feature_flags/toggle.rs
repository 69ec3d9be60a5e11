//! `POST /api/feature-flags/{key}/toggle`

use super::model::{FeatureFlag, Toggle};
use super::queries;
use crate::db::Set;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Key;
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::Data;

/// Switches a flag on or off. Switching to what already is so is no error and no event.
pub async fn toggle(
    permit: Permit<FeatureFlagsWrite>,
    Key(name): Key,
    Once(key, Body(wanted)): Once<Body<Toggle>>,
) -> Outcome<Data<FeatureFlag>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, &name).await?;
    let is_on = wanted.enabled.unwrap_or(!before.facts.is_enabled);
    let set = Set::new()
        .to("is_enabled = {}::boolean", is_on)
        .along("updated_by = {}::uuid", permit.principal.user_id);
    let after = queries::change(&mut tx, "feature_flag.toggled", before, set).await?;
    permit.commit(tx, Data::raw(&after)).await
}
