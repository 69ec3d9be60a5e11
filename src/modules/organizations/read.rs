//! `GET /api/organizations/{id}`

use super::model::Organization;
use super::queries;
use crate::error::Result;
use crate::http::params::{Id, NoQuery};
use crate::http::permit::{OrganizationsRead, Permit};
use crate::http::reply::Data;

/// Reads one organization.
pub async fn read(
    permit: Permit<OrganizationsRead>,
    Id(id): Id,
    _: NoQuery,
) -> Result<Data<Organization>> {
    queries::read(permit.begin(), id)
        .await
        .map(|organization| Data::raw(&organization))
}
