//! `GET /api/feature-flags/{key}`

use super::model::FeatureFlag;
use super::queries;
use crate::error::{Code, Error, Result};
use crate::http::params::{Key, NoQuery};
use crate::http::permit::{FeatureFlagsRead, Permit};
use crate::http::reply::{Data, Raw};

/// One flag, with its targets.
pub async fn read(
    permit: Permit<FeatureFlagsRead>,
    Key(key): Key,
    _: NoQuery,
) -> Result<Data<FeatureFlag>> {
    let flag: Option<Raw<FeatureFlag>> = permit.begin().only_row(queries::one(&key, false)).await?;
    let flag = flag.ok_or_else(|| Error::new(Code::NotFound))?;
    Ok(Data::raw(&flag))
}
