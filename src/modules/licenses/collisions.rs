//! `GET /api/licenses/{id}/collisions` and `POST …/collisions/{inner_id}/resolve`

use super::model::{Collision, Resolution};
use super::queries::{self, MINE, mine};
use crate::db::facts::{Action, Fact, changes};
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::params::{Id, Ids, Query, first_page, offset, page_size};
use crate::http::permit::{LicensesRead, LicensesWrite, Permit};
use crate::http::reply::{Data, Listing, Raw};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

const COLUMNS: &str = "c.id, c.license_id,
    CASE WHEN family(c.ip_address_a) = 6 THEN text(c.ip_address_a) ELSE host(c.ip_address_a) END AS ip_address_a,
    CASE WHEN family(c.ip_address_b) = 6 THEN text(c.ip_address_b) ELSE host(c.ip_address_b) END AS ip_address_b,
    c.collision_type, c.severity, c.address_count, c.detected_at, c.suspended_license,
    c.resolved_at, c.resolved_by, c.resolution_notes";

/// How serious a collision is.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CollisionSeverity")]
pub enum Severity {
    /// Two addresses.
    Low,
    /// Three.
    Medium,
    /// Four or five.
    High,
    /// More.
    Critical,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "CollisionFilters")]
pub struct Filters {
    /// Only this severity.
    pub severity: Option<Severity>,
    /// Only resolved ones, or only open ones.
    pub resolved: Option<bool>,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists the collisions of a license, latest first.
pub async fn list(
    permit: Permit<LicensesRead>,
    Id(id): Id,
    Query(filters): Query<Filters>,
) -> Result<Listing<Collision>> {
    let tx = permit.begin();
    let query = mine(
        &tx,
        format!(
            "WITH license AS (SELECT l.id FROM licenses l WHERE {MINE} AND l.id = $3::uuid),
             found AS (
               SELECT {COLUMNS} FROM license_collisions c JOIN license ON license.id = c.license_id
               WHERE ($4 IS NULL OR c.severity = $4::collision_severity)
                 AND ($5 IS NULL OR (c.resolved_at IS NOT NULL) = $5::boolean)
             ), page AS (
               SELECT * FROM found ORDER BY detected_at DESC, id LIMIT $6::bigint OFFSET $7::bigint)
             SELECT CASE WHEN EXISTS (SELECT 1 FROM license) THEN
               json_build_object('total', (SELECT count(*) FROM found),
                 'rows', (SELECT coalesce(json_agg(page), '[]') FROM page)) END::text"
        ),
    )
    .bind(id)
    .bind(filters.severity.map(Severity::as_str))
    .bind(filters.resolved)
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    let found = tx
        .only_value::<Option<_>>(query)
        .await?
        .ok_or_else(|| Error::new(Code::LicenseNotFound))?;
    Ok(Listing::new(found, filters.page, filters.per_page))
}

/// Marks a collision as looked into. Doing so again replaces the notes.
pub async fn resolve(
    permit: Permit<LicensesWrite>,
    Ids(license_id, id): Ids,
    Body(body): Body<Resolution>,
) -> Result<Data<Collision>> {
    let mut tx = permit.begin();
    let license = queries::peek(&mut tx, license_id).await?;
    let this = |text: String| {
        sql(text)
            .bind(id)
            .bind(license.id)
            .bind(license.organization_id)
    };
    let read = format!(
        "SELECT {COLUMNS} FROM license_collisions c
         WHERE c.id = $1::uuid AND c.license_id = $2::uuid AND c.organization_id = $3::uuid FOR UPDATE"
    );
    let before: Option<Raw<Collision>> = tx.row(this(read)).await?;
    let before = before.ok_or_else(|| Error::new(Code::NotFound))?;
    let resolve = format!(
        "UPDATE license_collisions c
         SET resolved_at = coalesce(c.resolved_at, now()), resolved_by = $4::uuid, resolution_notes = $5
         WHERE c.id = $1::uuid AND c.license_id = $2::uuid AND c.organization_id = $3::uuid
         RETURNING {COLUMNS}"
    );
    let (user, notes) = (permit.principal.user_id, body.notes.as_deref());
    let collision: Option<Raw<Collision>> = tx.row(this(resolve).bind(user).bind(notes)).await?;
    let collision = collision.ok_or_else(|| Error::new(Code::NotFound))?;
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: Some(license.organization_id),
        action: Action::Update,
        event: "license.collision_resolved",
        resource_type: "license_collision",
        resource_id: id,
        changes: changes(&before.tree(), &collision.tree()),
        payload: None,
    });
    permit.commit(tx).await?;
    Ok(Data::raw(&collision))
}
