//! The SQL of telemetry.

use crate::db::{Key, Rows, Tx};
use uuid::Uuid;

/// The columns of [`super::model::TelemetryEvent`], from table or alias `t`.
pub const COLUMNS: &str = "t.id, t.organization_id, t.user_id, t.session_id, t.event_type, t.event_category,
    t.event_name, t.properties, t.page_url, t.referrer, host(t.ip_address) AS ip_address, t.user_agent,
    t.device_type, t.browser, t.os, t.created_at";

/// How events are ordered.
pub const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];

/// The caller's events: of one organization or all, of a client only what it reported itself.
pub fn mine(tx: &Tx, organization: Option<Uuid>) -> Rows {
    Rows::of("telemetry_events", "t")
        .when("t.organization_id = {}::uuid", organization)
        .when("t.user_id = {}::uuid", tx.scope().owner())
}
