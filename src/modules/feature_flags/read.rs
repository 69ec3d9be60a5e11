//! `GET /api/feature-flags/{key}`

use super::model::FeatureFlag;
use super::queries::{self, COLUMNS};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::Key;
use crate::http::permit::{FeatureFlagsRead, Permit};
use crate::http::reply::Data;

/// One flag, with its targets.
pub async fn read(permit: Permit<FeatureFlagsRead>, Key(key): Key) -> Result<Data<FeatureFlag>> {
    let query = queries::one(&key).read(COLUMNS);
    let flag: Raw<FeatureFlag> = permit.begin().only_one(query, Code::NotFound).await?;
    Ok(Data::raw(&flag))
}
