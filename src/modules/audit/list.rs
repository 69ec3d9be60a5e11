//! `GET /api/audit-logs`, `GET /api/audit-logs/search` and `GET /api/audit-logs/{id}`

use super::filters::{MATCHING, filtered};
use super::model::AuditLog;
use super::queries::{MINE, columns, mine, organization};
use crate::error::{Code, Error, Result};
use crate::http::params::{Id, NoQuery, Query, first_page, offset, page_size};
use crate::http::permit::{Access, AuditRead, Permit};
use crate::http::reply::{Data, Listing, Raw};
use crate::http::types::Order;
use schemars::JsonSchema;
use serde::Deserialize;

/// Columns to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditLogSort")]
pub enum Sort {
    /// Time.
    #[default]
    CreatedAt,
    /// Place in the log.
    Sequence,
    /// Event.
    Action,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Sort::CreatedAt => "created_at",
            Sort::Sequence => "sequence",
            Sort::Action => "event",
        }
    }
}

filtered! {
    /// Filters, sorting and the page.
    #[schemars(rename = "AuditLogFilters")]
    Filters {
        /// Column to sort by.
        #[serde(default)]
        sort: Sort,
        /// Direction.
        #[serde(default)]
        order: Order,
        /// Counted from 1.
        #[serde(default = "first_page")]
        #[garde(range(min = 1, max = 1_000_000))]
        page: u32,
        /// Rows on a page.
        #[serde(default = "page_size")]
        #[garde(range(min = 1, max = 100))]
        per_page: u32,
    }
}

/// Lists the audit log.
pub async fn list(
    permit: Permit<AuditRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<AuditLog>> {
    found(&permit, &filters).await
}

/// Searches the audit log.
pub async fn search(
    permit: Permit<AuditRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<AuditLog>> {
    found(&permit, &filters).await
}

async fn found(access: &Access, filters: &Filters) -> Result<Listing<AuditLog>> {
    let organization = organization(access, filters.organization_id)?;
    let tx = access.begin();
    let (column, order, columns) = (filters.sort.column(), filters.order.sql(), columns());
    // The page is chosen first, so that only its rows are joined and shown.
    let query = mine(
        &tx,
        organization,
        format!(
            "WITH chosen AS (
               SELECT a.* FROM audit_logs a WHERE {MINE} AND {MATCHING}
               ORDER BY a.{column} {order}, a.sequence {order} LIMIT $13::bigint OFFSET $14::bigint
             ), page AS (
               SELECT {columns} FROM chosen a LEFT JOIN user_api_keys k ON k.id = a.api_key_id
               ORDER BY a.{column} {order}, a.sequence {order})
             SELECT json_build_object(
               'total', (SELECT count(*) FROM audit_logs a WHERE {MINE} AND {MATCHING}),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    );
    let query = filters
        .bind(query)
        .bind(filters.per_page)
        .bind(offset(filters.page, filters.per_page));
    let found = tx.only_value(query).await?;
    Ok(Listing::new(found, filters.page, filters.per_page))
}

/// Reads one row of the audit log.
pub async fn read(permit: Permit<AuditRead>, Id(id): Id, _: NoQuery) -> Result<Data<AuditLog>> {
    let tx = permit.begin();
    let columns = columns();
    let query = mine(
        &tx,
        organization(&permit, None)?,
        format!(
            "SELECT {columns} FROM audit_logs a LEFT JOIN user_api_keys k ON k.id = a.api_key_id
             WHERE {MINE} AND a.id = $3::uuid LIMIT 1"
        ),
    );
    let row: Option<Raw<AuditLog>> = tx.only_row(query.bind(id)).await?;
    row.map(|row| Data::raw(&row))
        .ok_or_else(|| Error::new(Code::NotFound))
}
