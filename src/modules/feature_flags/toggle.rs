//! `POST /api/feature-flags/{key}/toggle`

use super::model::{FeatureFlag, Toggle};
use super::queries;
use crate::db::facts::Action;
use crate::error::Result;
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::params::Key;
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::Data;
use serde_json::json;

/// Switches a flag on or off. Switching to what already is so is no error and no event.
pub async fn toggle(
    permit: Permit<FeatureFlagsWrite>,
    Key(key): Key,
    Once(idempotency, Body(wanted)): Once<Body<Toggle>>,
) -> Result<Data<FeatureFlag>> {
    let caller = permit.caller();
    let mut tx = permit.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let before = queries::lock(&mut tx, &key).await?;
    let was = before.tree();
    let is_on = was["is_enabled"] == true;
    let wanted = wanted.enabled.unwrap_or(!is_on);
    let mut after = before;
    if wanted != is_on {
        let patch = json!({ "is_enabled": wanted });
        after = queries::set(&mut tx, &key, &patch, permit.principal.user_id).await?;
        let changes = queries::difference(&was, &after.tree());
        queries::record(
            &mut tx,
            Action::Update,
            "feature_flag.toggled",
            &was,
            changes,
        )?;
    }
    let reply = Data::raw(&after);
    idempotency.settle(&mut tx, caller, &reply);
    permit.commit(tx).await?;
    Ok(reply)
}
