//! `GET /api/telemetry` and `GET /api/telemetry/events/{key}`

use super::model::TelemetryEvent;
use super::queries::{COLUMNS, MINE, mine, organization};
use crate::error::Result;
use crate::http::params::{Key, Query, first_page, offset, page_size};
use crate::http::permit::{Access, Permit, TelemetryRead};
use crate::http::reply::Listing;
use crate::http::types::Moment;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "TelemetryFilters")]
pub struct Filters {
    /// Only this organization. Everybody but a super administrator sees the own one anyway.
    pub organization_id: Option<Uuid>,
    /// Only this kind of event.
    #[garde(length(chars, max = 100))]
    pub event_type: Option<String>,
    /// Only this group of kinds.
    #[garde(length(chars, max = 50))]
    pub event_category: Option<String>,
    /// Only what has this name.
    #[garde(length(chars, max = 200))]
    pub event_name: Option<String>,
    /// Only what this person reported.
    pub user_id: Option<Uuid>,
    /// Only this run of a program.
    #[garde(length(chars, max = 100))]
    pub session_id: Option<String>,
    /// At or after.
    pub created_after: Option<Moment>,
    /// Before.
    pub created_before: Option<Moment>,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists reported events, latest first.
pub async fn list(
    permit: Permit<TelemetryRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<TelemetryEvent>> {
    found(&permit, &filters, None).await
}

/// Lists reported events of one kind, latest first.
pub async fn of_type(
    permit: Permit<TelemetryRead>,
    Key(kind): Key,
    Query(filters): Query<Filters>,
) -> Result<Listing<TelemetryEvent>> {
    found(&permit, &filters, Some(&kind)).await
}

async fn found(
    access: &Access,
    filters: &Filters,
    kind: Option<&str>,
) -> Result<Listing<TelemetryEvent>> {
    let organization = organization(access, filters.organization_id)?;
    let tx = access.begin();
    let matching = format!(
        "{MINE} AND ($3 IS NULL OR t.event_type = $3) AND ($4 IS NULL OR t.event_type = $4)
         AND ($5 IS NULL OR t.event_category = $5) AND ($6 IS NULL OR t.event_name = $6)
         AND ($7 IS NULL OR t.user_id = $7::uuid) AND ($8 IS NULL OR t.session_id = $8)
         AND ($9 IS NULL OR t.created_at >= $9::timestamptz) AND ($10 IS NULL OR t.created_at < $10::timestamptz)"
    );
    let query = mine(
        &tx,
        organization,
        format!(
            "WITH page AS (
               SELECT {COLUMNS} FROM telemetry_events t WHERE {matching}
               ORDER BY t.created_at DESC, t.id DESC LIMIT $11::bigint OFFSET $12::bigint)
             SELECT json_build_object(
               'total', (SELECT count(*) FROM telemetry_events t WHERE {matching}),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    )
    .bind(kind)
    .bind(filters.event_type.as_deref())
    .bind(filters.event_category.as_deref())
    .bind(filters.event_name.as_deref())
    .bind(filters.user_id)
    .bind(filters.session_id.as_deref())
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
