//! `GET /api/users`

use super::model::{User, UserRole, UserStatus};
use super::queries::{COLUMNS, MINE, mine};
use crate::db::{Tx, containing};
use crate::error::Result;
use crate::http::params::{Query, first_page, offset, page_size};
use crate::http::permit::{Permit, UsersRead};
use crate::http::reply::Listing;
use crate::http::types::Order;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

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
    fn column(self) -> &'static str {
        match self {
            Sort::CreatedAt => "u.created_at",
            Sort::UpdatedAt => "u.updated_at",
            Sort::Email => "lower(u.email)",
            Sort::LastLoginAt => "u.last_login_at",
            Sort::Role => "u.role",
        }
    }
}

/// Filters, sorting and the page.
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
    /// Direction.
    #[serde(default)]
    pub order: Order,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists the people in the caller's reach.
pub async fn list(
    permit: Permit<UsersRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<User>> {
    people(permit.begin(), None, &filters).await
}

/// Lists people, of one organization if it is given.
///
/// # Errors
/// When the database fails.
pub async fn people(
    tx: Tx,
    organization: Option<Uuid>,
    filters: &Filters,
) -> Result<Listing<User>> {
    let (column, order) = (filters.sort.column(), filters.order.sql());
    let query = mine(
        &tx,
        format!(
            "WITH found AS (
               SELECT u.id, {column} AS sorted FROM users_profile u
               WHERE {MINE}
                 AND ($3 IS NULL OR u.organization_id = $3::uuid)
                 AND ($4 IS NULL OR u.role = $4::user_role)
                 AND ($5 IS NULL OR ($5 = 'invited') = (u.invited_at IS NOT NULL AND u.activated_at IS NULL))
                 AND ($6 IS NULL OR u.email ILIKE $6 OR u.display_name ILIKE $6
                   OR concat_ws(' ', u.first_name, u.last_name) ILIKE $6)
             ), page AS (
               SELECT {COLUMNS} FROM found f JOIN users_profile u USING (id)
               ORDER BY f.sorted {order} NULLS LAST, u.id {order} LIMIT $7::bigint OFFSET $8::bigint)
             SELECT json_build_object('total', (SELECT count(*) FROM found),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    )
    .bind(organization)
    .bind(filters.role.map(UserRole::as_str))
    .bind(filters.status.map(UserStatus::as_str))
    .bind(filters.search.as_deref().filter(|text| !text.is_empty()).map(containing))
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    Ok(Listing::new(
        tx.only_value(query).await?,
        filters.page,
        filters.per_page,
    ))
}
