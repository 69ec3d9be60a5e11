//! `GET /api/users/{id}`

use super::model::User;
use super::queries::{self, COLUMNS};
use crate::error::Result;
use crate::http::params::NoQuery;
use crate::http::permit::{AccountRead, Over, UsersRead};
use crate::http::reply::Data;

/// Reads one person.
pub async fn read(over: Over<AccountRead, UsersRead>, _: NoQuery) -> Result<Data<User>> {
    queries::read(over.begin(), over.person, COLUMNS)
        .await
        .map(|user| Data::raw(&user))
}
