//! `GET /api/users`

use super::model::{User, UserRole, UserStatus};
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, Page, Rows, Tx, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{Permit, UsersRead};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Columns to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UserSort")]
pub enum Sort {
    /// Creation.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
    /// E-mail address.
    Email,
    /// Last sign-in.
    LastLoginAt,
    /// Role, in the order of the enum.
    Role,
}

impl Sort {
    fn by(self) -> &'static str {
        match self {
            Sort::CreatedAt => "u.created_at {}, u.id {}",
            Sort::UpdatedAt => "u.updated_at {}, u.id {}",
            Sort::Email => "lower(u.email) {}, u.id {}",
            Sort::LastLoginAt => "u.last_login_at {} NULLS LAST, u.id {}",
            Sort::Role => "u.role {}, u.id {}",
        }
    }
}

/// Filters and sorting.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "UserFilters")]
pub struct Filters {
    /// Only this role.
    pub role: Option<UserRole>,
    /// Only those who came, or only those who did not yet.
    pub status: Option<UserStatus>,
    /// Part of the e-mail address or of a name.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
    /// Column to sort by.
    #[serde(default)]
    pub sort: Sort,
}

/// Lists the people in the caller's reach.
pub async fn list(
    permit: Permit<UsersRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<User>> {
    let tx = permit.begin();
    let people = mine(&tx);
    some(tx, people, f, &page).await
}

/// Lists those of `people` whom the filters leave.
///
/// # Errors
/// When the database fails, or what the people belong to is not there.
pub async fn some(tx: Tx, people: Rows, f: Filters, page: &Page) -> Result<Listing<User>> {
    let found = people
        .when("u.role = {}::user_role", f.role.map(UserRole::as_str))
        .when(
            "({} = 'invited') = (u.invited_at IS NOT NULL AND u.activated_at IS NULL)",
            f.status.map(UserStatus::as_str),
        )
        .when(
            "(u.email ILIKE {} OR u.display_name ILIKE {} OR concat_ws(' ', u.first_name, u.last_name) ILIKE {})",
            containing(f.search.as_deref()),
        );
    tx.page(found, COLUMNS, f.sort.by(), page).await
}
