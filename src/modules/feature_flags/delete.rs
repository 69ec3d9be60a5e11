//! `DELETE /api/feature-flags/{key}`

use super::model::FeatureFlag;
use super::queries::{self, COLUMNS, FLAG};
use crate::db::Raw;
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Key;
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::NoContent;

/// Deletes a flag. Programs that still ask for it get 404, and none in the list of all.
pub async fn delete(
    permit: Permit<FeatureFlagsWrite>,
    Key(name): Key,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let query = queries::one(&name).delete(COLUMNS);
    let flag: Raw<FeatureFlag> = tx.one(query, Code::NotFound).await?;
    tx.record_end(&FLAG, "feature_flag.deleted", &flag);
    permit.commit(tx, NoContent::done()).await
}
