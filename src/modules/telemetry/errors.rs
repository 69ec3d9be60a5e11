//! `GET /api/telemetry/errors`

use super::model::TelemetryError;
use super::queries::mine;
use crate::db::Listing;
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{Permit, TelemetryRead};
use crate::http::types::Moment;
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
    fn by(self) -> &'static str {
        match self {
            Sort::LastSeen => "g.last_seen {}, g.event_name",
            Sort::FirstSeen => "g.first_seen {}, g.event_name",
            Sort::Count => "g.count {}, g.event_name",
            Sort::Users => "g.users {}, g.event_name",
        }
    }
}

/// Filters and sorting.
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
}

/// Lists reported errors (events of the type `error`), those of one name together.
pub async fn errors(
    permit: Permit<TelemetryRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<TelemetryError>> {
    let organization = permit.reach(f.organization_id)?;
    let tx = permit.begin();
    let found = mine(&tx, organization)
        .only("t.event_type = 'error'")
        .when("t.user_id = {}::uuid", f.user_id)
        .when("t.created_at >= {}::timestamptz", f.created_after)
        .when("t.created_at < {}::timestamptz", f.created_before);
    let order = page.direction().applied(f.sort.by());
    let (limit, offset) = (page.per_page, page.offset(false)?);
    // Not materialized: names are counted in an index, and one row of each is read.
    let query = found.read("t.*").wrapped(|found| {
        format!(
            "WITH found AS NOT MATERIALIZED (
               {found}
             ), grouped AS (
               SELECT event_name, count(*) AS count, count(DISTINCT user_id) AS users,
                 min(created_at) AS first_seen, max(created_at) AS last_seen
               FROM found GROUP BY event_name
             ), page AS (
               SELECT g.*, (SELECT f.properties FROM found f WHERE f.event_name = g.event_name
                 ORDER BY f.created_at DESC, f.id DESC LIMIT 1) AS last_properties
               FROM grouped g ORDER BY {order} LIMIT {limit} OFFSET {offset})
             SELECT json_build_object('total', (SELECT count(*) FROM grouped), 'capped', false,
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page), 'next', NULL)::text"
        )
    });
    Ok(Listing::of(Listing::new(
        tx.only_value(query).await?,
        &page,
    )))
}
