//! `DELETE /api/feature-flags/{key}`

use super::queries;
use crate::db::facts::Action;
use crate::db::sql;
use crate::error::Result;
use crate::http::params::{Key, NoQuery};
use crate::http::permit::{FeatureFlagsWrite, Permit};
use crate::http::reply::NoContent;
use serde_json::Value;

/// Deletes a flag. Programs that still ask for it get 404, and none in the list of all.
pub async fn delete(
    permit: Permit<FeatureFlagsWrite>,
    Key(key): Key,
    _: NoQuery,
) -> Result<NoContent> {
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx, &key).await?.tree();
    tx.finally(sql("DELETE FROM feature_flags WHERE flag_key = $1").bind(&key));
    let changes = queries::difference(&before, &Value::Null);
    queries::record(
        &mut tx,
        Action::Delete,
        "feature_flag.deleted",
        &before,
        changes,
    )?;
    permit.commit(tx).await?;
    Ok(NoContent)
}
