//! What the webhook objects tried, into PostgreSQL.
//!
//! Every attempt comes with its id and every report with its number, so a repeated message inserts
//! nothing and disables nothing a second time.

use super::object;
use crate::db::facts::{Action, Fact, Mail};
use crate::db::sql;
use crate::error::Result;
use crate::run::{Run, together};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// A webhook that was disabled just now.
#[derive(Deserialize)]
struct Disabled {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    url: String,
    reason: String,
    failing_since: Option<String>,
    /// Who is told: the creator, or the organization.
    to: Option<String>,
    locale: String,
}

/// Writes a batch of reports in one transaction.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    let reports = together(bodies)?;
    let mut tx = run.begin();
    tx.execute(sql(ATTEMPTS).bind(&reports)).await?;
    let disabled: Vec<Disabled> = tx.value(sql(DISABLE).bind(&reports)).await?;
    for webhook in &disabled {
        tx.record(Fact {
            organization_id: Some(webhook.organization_id),
            action: Action::Update,
            event: "webhook.disabled",
            resource_type: "webhook",
            resource_id: webhook.id,
            changes: json!({ "before": { "status": "active" },
                "after": { "status": "disabled", "disabled_reason": webhook.reason } }),
            payload: Some(json!({ "webhook": {
                "id": webhook.id, "name": webhook.name, "url": webhook.url, "status": "disabled",
                "disabled_reason": webhook.reason } })),
        });
        if let Some(to) = &webhook.to {
            tx.post(Mail {
                link: None,
                id: Uuid::new_v4(),
                organization_id: Some(webhook.organization_id),
                to: to.clone(),
                locale: webhook.locale.clone(),
                template: "webhook_disabled".to_owned(),
                data: json!({ "webhook_id": webhook.id, "name": webhook.name, "address": webhook.url,
                    "reason": webhook.reason, "failing_since": webhook.failing_since }),
            });
        }
    }
    let ids: Vec<_> = disabled.iter().map(|webhook| webhook.id).collect();
    let endpoints = match ids.as_slice() {
        [] => Vec::new(),
        ids => object::endpoints(&mut tx, ids).await?,
    };
    run.commit(tx).await?;
    for endpoint in &endpoints {
        // The outbox tells it again, should this fail.
        let _ = object::configure(&run.env, endpoint).await;
    }
    Ok(())
}

const ATTEMPTS: &str = "
WITH report AS (
  SELECT w.id, w.organization_id, r, (r->>'sequence')::bigint AS sequence
  FROM jsonb_array_elements($1::jsonb) AS t(r) JOIN webhooks w ON w.id = (r->>'webhook_id')::uuid
), logged AS (
  INSERT INTO webhook_deliveries (id, webhook_id, organization_id, event_id, event_type, payload, response_status,
    response_body, error_message, duration_ms, attempt_number, next_attempt_at, delivered_at, created_at)
  SELECT a.id, report.id, report.organization_id, a.event_id, left(a.event_type, 100),
    coalesce(
      (SELECT jsonb_build_object('type', o.topic, 'data', o.payload,
         'timestamp', to_char(o.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))
       FROM outbox_messages o WHERE o.id = a.event_id),
      (SELECT d.payload FROM webhook_deliveries d
       WHERE d.webhook_id = report.id AND d.event_id = a.event_id LIMIT 1),
      jsonb_build_object('type', a.event_type, 'timestamp', a.created_at, 'data', NULL)),
    CASE WHEN a.response_status BETWEEN 100 AND 599 THEN a.response_status END,
    a.response_body, a.error, least(a.duration_ms, 2147483647)::int, a.attempt_number, a.next_attempt_at,
    a.delivered_at, a.created_at
  FROM report, jsonb_to_recordset(r->'attempts') AS a(
    id uuid, event_id uuid, event_type text, attempt_number int, created_at timestamptz, duration_ms bigint,
    response_status int, response_body text, error text, next_attempt_at timestamptz, delivered_at timestamptz)
  ON CONFLICT (id) DO NOTHING
), newest AS (
  SELECT DISTINCT ON (id) id, sequence, r FROM report ORDER BY id, sequence DESC
), delivered AS (
  SELECT report.id, max(a.delivered_at) AS at
  FROM report, jsonb_to_recordset(r->'attempts') AS a(delivered_at timestamptz) GROUP BY report.id)
UPDATE webhooks w SET report_sequence = n.sequence,
  consecutive_failures = least((n.r->>'consecutive_failures')::bigint, 2147483647)::int,
  failing_since = to_timestamp((n.r->>'failing_since_ms')::bigint / 1000.0),
  last_delivery_at = greatest(w.last_delivery_at, d.at)
FROM newest n JOIN delivered d USING (id)
WHERE w.id = n.id AND w.report_sequence < n.sequence";

/// A report about an older version is out of date: somebody has changed the webhook since.
const DISABLE: &str = "
WITH report AS (
  SELECT DISTINCT ON (webhook_id) webhook_id, version, disabled
  FROM jsonb_to_recordset($1::jsonb) AS r(webhook_id uuid, version bigint, disabled text)
  WHERE disabled IS NOT NULL ORDER BY webhook_id, version DESC
), disabled AS (
  UPDATE webhooks w SET status = 'disabled', disabled_at = now(), disabled_reason = r.disabled,
    version = w.version + 1
  FROM report r
  WHERE w.id = r.webhook_id AND w.version = r.version AND w.status = 'active' AND w.deleted_at IS NULL
  RETURNING w.id, w.organization_id, w.user_id, w.name, w.url, w.disabled_reason, w.failing_since)
SELECT coalesce(json_agg(json_build_object('id', d.id, 'organization_id', d.organization_id, 'name', d.name,
  'url', d.url, 'reason', d.disabled_reason, 'failing_since', d.failing_since,
  'to', coalesce(u.email, o.email), 'locale', coalesce(u.locale, 'es'))), '[]')::text
FROM disabled d
JOIN organizations o ON o.id = d.organization_id
LEFT JOIN users_profile u ON u.id = d.user_id AND u.organization_id = d.organization_id AND u.deleted_at IS NULL";
