//! What programs reported, into PostgreSQL.
//!
//! Every event comes with its id and time from the intake, so a repeated message writes nothing.

use crate::db::sql;
use crate::error::Result;
use crate::run::{Run, together};

/// Writes a batch of messages in one statement.
///
/// # Errors
/// When a message is malformed or the database fails.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    let query = sql(EVENTS).bind(together(bodies)?);
    run.begin().only_execute(query).await
}

const EVENTS: &str = "
INSERT INTO telemetry_events (id, organization_id, user_id, ip_address, user_agent, session_id, event_type,
  event_category, event_name, properties, page_url, referrer, device_type, browser, os, created_at)
SELECT e.id, f.organization_id, f.user_id, f.ip_address, f.user_agent, e.session_id, e.event_type,
  e.event_category, e.event_name, coalesce(e.properties, '{}'), e.page_url, e.referrer, e.device_type, e.browser, e.os,
  e.created_at
FROM jsonb_array_elements($1::jsonb) AS t(m),
  jsonb_to_record(m->'from') AS f(organization_id uuid, user_id uuid, ip_address inet, user_agent text),
  jsonb_to_recordset(m->'events') AS e(id uuid, session_id text, event_type text, event_category text,
    event_name text, properties jsonb, page_url text, referrer text, device_type text, browser text, os text,
    created_at timestamptz)
ON CONFLICT DO NOTHING";
