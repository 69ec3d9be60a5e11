//! `GET /api/users/{id}`

use super::model::User;
use super::queries::{self, COLUMNS};
use crate::error::Result;
use crate::http::permit::{AccountRead, OnPerson, UsersRead};
use crate::http::reply::Data;

/// Reads one person.
pub async fn read(permit: OnPerson<AccountRead, UsersRead>) -> Result<Data<User>> {
    let user = queries::read(permit.begin(), permit.person, COLUMNS).await?;
    Ok(Data::raw(&user))
}
