//! `POST /api/feature-flags`

use super::model::{FeatureFlag, NewFeatureFlag, TargetType};
use super::queries::{self, COLUMNS};
use crate::db::facts::Action;
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::{Created, Raw};
use serde_json::{Value, json};

/// Creates a flag.
pub async fn create(
    permit: Permit<FeatureFlagsWrite>,
    Once(idempotency, Body(new)): Once<Body<NewFeatureFlag>>,
) -> Result<Created<FeatureFlag>> {
    if new.target_type == TargetType::Percentage && new.target_percentage.is_none() {
        return Err(Error::field("target_percentage", "is required"));
    }
    let caller = permit.caller();
    let mut tx = permit.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let flag: Option<Raw<FeatureFlag>> = tx
        .row(
            sql(format!(
                "INSERT INTO feature_flags AS f (flag_key, name, description, is_enabled, target_type, target_percentage,
                   target_users, target_organizations, environments, overrides, metadata, updated_by)
                 VALUES ($1, $2, $3, $4::boolean, $5, $6::int,
                   ARRAY(SELECT jsonb_array_elements_text($7::jsonb)::uuid),
                   ARRAY(SELECT jsonb_array_elements_text($8::jsonb)::uuid),
                   ARRAY(SELECT jsonb_array_elements_text($9::jsonb)), $10::jsonb, $11::jsonb, $12::uuid)
                 RETURNING {COLUMNS}"
            ))
            .bind(&new.flag_key)
            .bind(&new.name)
            .bind(new.description.as_deref())
            .bind(new.is_enabled)
            .bind(new.target_type.as_str())
            .bind(new.target_percentage)
            .bind(json!(new.target_users))
            .bind(json!(new.target_organizations))
            .bind(json!(new.environments))
            .bind(json!(new.overrides))
            .bind(json!(new.metadata))
            .bind(permit.principal.user_id)
            .on("feature_flags_flag_key_key", Code::FlagKeyTaken),
        )
        .await?;
    let flag = flag.ok_or_else(|| Error::internal("nothing was inserted"))?;
    let is = flag.tree();
    let changes = queries::difference(&Value::Null, &is);
    queries::record(
        &mut tx,
        Action::Create,
        "feature_flag.created",
        &is,
        changes,
    )?;
    let reply = Created::raw(&flag);
    idempotency.settle(&mut tx, caller, &reply);
    permit.commit(tx).await?;
    Ok(reply)
}
