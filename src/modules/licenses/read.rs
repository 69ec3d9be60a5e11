//! `GET /api/licenses/{id}`

use super::model::License;
use super::queries;
use crate::error::Result;
use crate::http::params::Id;
use crate::http::permit::{LicensesRead, Permit};
use crate::http::reply::Data;

/// Reads one license.
pub async fn read(permit: Permit<LicensesRead>, Id(id): Id) -> Result<Data<License>> {
    let license = queries::read(permit.begin(), id).await?;
    Ok(Data::raw(&license))
}
