//! `GET /api/telemetry/errors`

use super::model::TelemetryError;
use super::queries::{MINE, mine, organization};
use crate::error::Result;
use crate::http::params::{Query, first_page, offset, page_size};
use crate::http::permit::{Permit, TelemetryRead};
use crate::http::reply::Listing;
use crate::http::types::{Moment, Order};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Columns to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TelemetryErrorSort")]
pub enum Sort {
    /// The last time.
    #[default]
    LastSeen,
    /// The first time.
    FirstSeen,
    /// How often.
    Count,
    /// To how many people.
    Users,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Sort::LastSeen => "last_seen",
            Sort::FirstSeen => "first_seen",
            Sort::Count => "count",
            Sort::Users => "users",
        }
    }
}

/// Filters, sorting and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "TelemetryErrorFilters")]
pub struct Filters {
    /// Only this organization. Everybody but a super administrator sees the own one anyway.
    pub organization_id: Option<Uuid>,
    /// Only what happened to this person.
    pub user_id: Option<Uuid>,
    /// At or after.
    pub created_after: Option<Moment>,
    /// Before.
    pub created_before: Option<Moment>,
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

/// Lists reported errors (events of the type `error`), those of one name together.
pub async fn errors(
    permit: Permit<TelemetryRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<TelemetryError>> {
    let organization = organization(&permit, filters.organization_id)?;
    let tx = permit.begin();
    let matching = format!(
        "{MINE} AND t.event_type = 'error' AND ($3 IS NULL OR t.user_id = $3::uuid)
         AND ($4 IS NULL OR t.created_at >= $4::timestamptz) AND ($5 IS NULL OR t.created_at < $5::timestamptz)"
    );
    let (column, order) = (filters.sort.column(), filters.order.sql());
    let query = mine(
        &tx,
        organization,
        format!(
            "WITH grouped AS (
               SELECT t.event_name, count(*) AS count, count(DISTINCT t.user_id) AS users,
                 min(t.created_at) AS first_seen, max(t.created_at) AS last_seen
               FROM telemetry_events t WHERE {matching} GROUP BY t.event_name
             ), page AS (
               SELECT g.*, (SELECT t.properties FROM telemetry_events t
                 WHERE {matching} AND t.event_name = g.event_name
                 ORDER BY t.created_at DESC, t.id DESC LIMIT 1) AS last_properties
               FROM grouped g ORDER BY {column} {order}, event_name LIMIT $6::bigint OFFSET $7::bigint)
             SELECT json_build_object('total', (SELECT count(*) FROM grouped),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    )
    .bind(filters.user_id)
    .bind(filters.created_after.map(|at| at.0))
    .bind(filters.created_before.map(|at| at.0))
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    Ok(Listing::new(
        tx.only_value(query).await?,
        filters.page,
        filters.per_page,
    ))
}
