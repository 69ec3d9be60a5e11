//! `GET /api/licenses/{id}`

use super::model::License;
use super::queries;
use crate::error::Result;
use crate::http::params::{Id, NoQuery};
use crate::http::permit::{LicensesRead, Permit};
use crate::http::reply::Data;

/// Reads one license.
pub async fn read(permit: Permit<LicensesRead>, Id(id): Id, _: NoQuery) -> Result<Data<License>> {
    queries::read(permit.begin(), id)
        .await
        .map(|license| Data::raw(&license))
}
