//! `GET /api/organizations/{id}`

use super::model::Organization;
use super::queries::{COLUMNS, mine};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::Id;
use crate::http::permit::{OrganizationsRead, Permit};
use crate::http::reply::Data;

/// Reads one organization.
pub async fn read(permit: Permit<OrganizationsRead>, Id(id): Id) -> Result<Data<Organization>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let found: Raw<Organization> = tx.only_one(query, Code::OrganizationNotFound).await?;
    Ok(Data::raw(&found))
}
