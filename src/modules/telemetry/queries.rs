//! The SQL of telemetry.

use crate::db::{Query, Scope, Tx, sql};
use crate::error::Result;
use crate::http::permit::Access;
use uuid::Uuid;

/// The columns of [`super::model::TelemetryEvent`], from table or alias `t`.
pub const COLUMNS: &str = "t.id, t.organization_id, t.user_id, t.session_id, t.event_type, t.event_category,
    t.event_name, t.properties, t.page_url, t.referrer, host(t.ip_address) AS ip_address, t.user_agent,
    t.device_type, t.browser, t.os, t.created_at";

/// The tenant in a statement's own WHERE, for `telemetry_events t`; `$1` is the organization, `$2` the owner.
pub const MINE: &str = "($1::uuid IS NULL OR t.organization_id = $1::uuid) AND ($2::uuid IS NULL OR t.user_id = $2::uuid)";

/// A statement whose first two parameters are the tenant, as [`MINE`] expects.
pub fn mine(tx: &Tx, organization: Option<Uuid>, text: impl Into<String>) -> Query {
    sql(text).bind(organization).bind(tx.scope().owner())
}

/// The organization that is asked about: the caller's own; for a super administrator the one that is
/// named, or all.
///
/// # Errors
/// 422 for somebody else's organization.
pub fn organization(access: &Access, named: Option<Uuid>) -> Result<Option<Uuid>> {
    match access.scope() {
        Scope::Tenant { .. } => access.organization(named).map(Some),
        Scope::System => Ok(named),
    }
}
