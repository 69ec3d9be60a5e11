//! `GET /api/audit-logs`, `GET /api/audit-logs/search` and `GET /api/audit-logs/{id}`

use super::filters::Filters;
use super::model::AuditLog;
use super::queries::{KEYS, columns, mine};
use crate::db::{Key, Listing, Raw};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{AuditRead, Permit};
use crate::http::reply::Data;
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
    /// How the log is ordered then.
    pub fn by(self) -> (Key, &'static str) {
        match self {
            Sort::CreatedAt => (
                &[("created_at", "timestamptz"), ("sequence", "bigint")],
                "a.created_at {}, a.sequence {}",
            ),
            Sort::Sequence => (&[("sequence", "bigint")], "a.sequence {}"),
            Sort::Action => (
                &[("event", "text"), ("sequence", "bigint")],
                "a.event {}, a.sequence {}",
            ),
        }
    }
}

/// What lists have besides the filters.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "AuditLog")]
pub struct Sorting {
    /// Column to sort by.
    #[serde(default)]
    pub sort: Sort,
}

/// Lists the audit log.
pub async fn list(
    permit: Permit<AuditRead>,
    Paged(f, page): Paged<Filters<Sorting>>,
) -> Result<Listing<AuditLog>> {
    let organization = permit.reach(f.organization_id)?;
    let tx = permit.begin();
    let (key, by) = f.more.sort.by();
    let found = f.rows(&tx, organization).joined(KEYS).growing(key);
    tx.page(found, &columns(), by, &page).await
}

/// Searches the audit log.
pub async fn search(
    permit: Permit<AuditRead>,
    asked: Paged<Filters<Sorting>>,
) -> Result<Listing<AuditLog>> {
    list(permit, asked).await
}

/// Reads one row of the audit log.
pub async fn read(permit: Permit<AuditRead>, Id(id): Id) -> Result<Data<AuditLog>> {
    let tx = permit.begin();
    let found = mine(&tx, tx.scope().organization()).id(id).joined(KEYS);
    let row: Raw<AuditLog> = tx.only_one(found.read(&columns()), Code::NotFound).await?;
    Ok(Data::raw(&row))
}
