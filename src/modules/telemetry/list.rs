//! `GET /api/telemetry` and `GET /api/telemetry/events/{key}`

use super::model::TelemetryEvent;
use super::queries::{COLUMNS, KEY, mine};
use crate::db::{Listing, Page};
use crate::error::Result;
use crate::http::params::{Key, Paged};
use crate::http::permit::{Access, Permit, TelemetryRead};
use crate::http::types::Moment;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Filters.
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
}

/// Lists reported events, latest first.
pub async fn list(
    permit: Permit<TelemetryRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<TelemetryEvent>> {
    found(&permit, f, &page, None).await
}

/// Lists reported events of one kind, latest first.
pub async fn of_type(
    permit: Permit<TelemetryRead>,
    Key(kind): Key,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<TelemetryEvent>> {
    found(&permit, f, &page, Some(kind)).await
}

async fn found(
    access: &Access,
    f: Filters,
    page: &Page,
    kind: Option<String>,
) -> Result<Listing<TelemetryEvent>> {
    let organization = access.reach(f.organization_id)?;
    let tx = access.begin();
    let found = mine(&tx, organization)
        .growing(KEY)
        .when("t.event_type = {}", kind)
        .when("t.event_type = {}", f.event_type)
        .sought("t.event_category = {}", f.event_category)
        .sought("t.event_name = {}", f.event_name)
        .when("t.user_id = {}::uuid", f.user_id)
        .when("t.session_id = {}", f.session_id)
        .when("t.created_at >= {}::timestamptz", f.created_after)
        .when("t.created_at < {}::timestamptz", f.created_before);
    tx.page(found, COLUMNS, "t.created_at {}, t.id {}", page)
        .await
}
