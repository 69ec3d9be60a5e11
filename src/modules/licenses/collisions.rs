//! `GET /api/licenses/{id}/collisions` and `POST …/collisions/{inner_id}/resolve`

use super::model::{Collision, Resolution};
use super::queries::{self, mine};
use crate::db::facts::Subject;
use crate::db::{Listing, Raw, Rows, Set};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Ids, Paged};
use crate::http::permit::{LicensesRead, LicensesWrite, Permit};
use crate::http::reply::Data;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

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

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "CollisionFilters")]
pub struct Filters {
    /// Only this severity.
    pub severity: Option<Severity>,
    /// Only resolved ones, or only open ones.
    pub resolved: Option<bool>,
}

/// Lists the collisions of a license, latest first.
pub async fn list(
    permit: Permit<LicensesRead>,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Collision>> {
    let tx = permit.begin();
    let found = Rows::of("license_collisions", "c")
        .within(mine(&tx).id(id), "c.license_id", Code::LicenseNotFound)
        .when(
            "c.severity = {}::collision_severity",
            f.severity.map(Severity::as_str),
        )
        .when("(c.resolved_at IS NOT NULL) = {}::boolean", f.resolved);
    tx.page(found, COLUMNS, "c.detected_at {}, c.id {}", &page)
        .await
}

/// Marks a collision as looked into. Who did so first, and when, stays; doing so again replaces the notes.
pub async fn resolve(
    permit: Permit<LicensesWrite>,
    Ids(license_id, id): Ids,
    Once(key, Body(body)): Once<Body<Resolution>>,
) -> Outcome<Data<Collision>> {
    let mut tx = permit.begin_once(key).await?;
    let license = queries::peek(&mut tx, license_id).await?;
    tx.happens_in(Some(license.organization_id));
    let this = || license.owns("license_collisions", "c").id(id);
    let before: Raw<Collision> = tx.one(this().lock(COLUMNS), Code::NotFound).await?;
    let set = Set::new()
        .fixed("resolved_at = coalesce(c.resolved_at, now())")
        .to(
            "resolved_by = coalesce(c.resolved_by, {}::uuid)",
            permit.principal.user_id,
        )
        .to("resolution_notes = {}", body.notes);
    let after: Raw<Collision> = tx.one(this().set(set, COLUMNS), Code::NotFound).await?;
    tx.record_change(&COLLISION, "license.collision_resolved", &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}

const COLLISION: Subject = Subject {
    kind: "license_collision",
    tenant: "organization_id",
    secret: &[],
    told: None,
};
