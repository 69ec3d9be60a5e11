//! What the webhook objects tried, into PostgreSQL.
//!
//! Every attempt comes with its id and every report with its number, so a repeated message inserts
//! nothing and disables nothing a second time.

use super::object;
use crate::db::facts::{Action, Fact, Mail};
use crate::db::{Tx, sql};
use crate::error::Result;
use crate::run::{Run, together};
use celaest_domain::webhook::shown_url;
use celaest_durable::webhook::Endpoint;
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
    was: String,
    reason: String,
    failing_since: Option<String>,
    /// Who is told: the creator, or the organization.
    to: Option<String>,
    locale: String,
}

/// Writes a batch of reports in one transaction.
///
/// # Errors
/// When a report is malformed or the database fails.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    let reports = together(bodies)?;
    let mut tx = run.begin();
    tx.execute(sql(ATTEMPTS).bind(&reports)).await?;
    disable(run, tx, &reports).await
}

/// Disables webhooks whose rights are nobody's any more.
///
/// # Errors
/// When the database fails.
pub async fn disable_orphans(run: &Run, endpoints: &[&Endpoint]) -> Result<()> {
    if endpoints.is_empty() {
        return Ok(());
    }
    let reports = endpoints.iter().map(|endpoint| {
        json!({ "webhook_id": endpoint.webhook_id, "generation": endpoint.generation, "disabled": "owner" })
    });
    let reports = json!(reports.collect::<Vec<_>>()).to_string();
    disable(run, run.begin(), &reports).await
}

/// Disables what reports say, tells of it, and commits.
async fn disable(run: &Run, mut tx: Tx, reports: &str) -> Result<()> {
    let disabled: Vec<Disabled> = tx.value(sql(DISABLE).bind(reports)).await?;
    for webhook in &disabled {
        let address = shown_url(&webhook.url);
        tx.record(Fact {
            organization_id: Some(webhook.organization_id),
            action: Action::Update,
            event: "webhook.disabled",
            resource_type: "webhook",
            resource_id: webhook.id,
            changes: json!({ "before": { "status": webhook.was },
                "after": { "status": "disabled", "disabled_reason": webhook.reason } }),
            payload: Some(json!({ "webhook": {
                "id": webhook.id, "name": webhook.name, "url": address, "status": "disabled",
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
                data: json!({ "webhook_id": webhook.id, "name": webhook.name, "address": address,
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

/// What was tried is written down whenever its report comes. How a webhook stands is what the newest report of its own
/// generation says: an earlier one speaks of the time before somebody brought it back, or sent it elsewhere.
const ATTEMPTS: &str = "
WITH report AS (
  SELECT w.id, w.organization_id, r, (r->>'sequence')::bigint AS sequence
  FROM jsonb_array_elements($1::jsonb) AS t(r) JOIN webhooks w ON w.id = (r->>'webhook_id')::uuid
), logged AS (
  INSERT INTO webhook_deliveries (id, webhook_id, organization_id, event_id, event_type, payload, response_status,
    response_body, error_message, duration_ms, attempt_number, next_attempt_at, delivered_at, created_at)
  SELECT a.id, report.id, report.organization_id, a.event_id, left(a.event_type, 100),
    -- Once for each message.
    CASE WHEN row_number() OVER (PARTITION BY report.id, a.event_id ORDER BY a.created_at, a.id) = 1
      AND NOT EXISTS (SELECT FROM webhook_deliveries d
        WHERE d.webhook_id = report.id AND d.event_id = a.event_id AND d.payload IS NOT NULL)
    THEN coalesce(
      (SELECT jsonb_build_object('type', o.topic, 'data', o.payload,
         'timestamp', to_char(o.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))
       FROM outbox_messages o WHERE o.id = a.event_id),
      jsonb_build_object('type', a.event_type, 'timestamp', a.created_at, 'data', NULL)) END,
    CASE WHEN a.response_status BETWEEN 100 AND 599 THEN a.response_status END,
    a.response_body, a.error, least(a.duration_ms, 2147483647)::int, a.attempt_number, a.next_attempt_at,
    a.delivered_at, a.created_at
  FROM report, jsonb_to_recordset(r->'attempts') AS a(
    id uuid, event_id uuid, event_type text, attempt_number int, created_at timestamptz, duration_ms bigint,
    response_status int, response_body text, error text, next_attempt_at timestamptz, delivered_at timestamptz)
  ON CONFLICT DO NOTHING
), newest AS (
  SELECT DISTINCT ON (id) id, sequence, r FROM report ORDER BY id, sequence DESC
), delivered AS (
  SELECT report.id, max(a.delivered_at) AS at
  FROM report, jsonb_to_recordset(r->'attempts') AS a(delivered_at timestamptz) GROUP BY report.id)
UPDATE webhooks w SET last_delivery_at = greatest(w.last_delivery_at, d.at),
  (report_sequence, consecutive_failures, failing_since) = (
    SELECT CASE WHEN s.stands THEN n.sequence ELSE w.report_sequence END,
      CASE WHEN s.stands THEN least((n.r->>'consecutive_failures')::bigint, 2147483647)::int
        ELSE w.consecutive_failures END,
      CASE WHEN s.stands THEN to_timestamp((n.r->>'failing_since_ms')::bigint / 1000.0) ELSE w.failing_since END
    FROM (SELECT w.report_sequence < n.sequence AND w.generation = (n.r->>'generation')::bigint AS stands) s)
FROM newest n JOIN delivered d USING (id)
WHERE w.id = n.id AND (w.report_sequence < n.sequence OR d.at > coalesce(w.last_delivery_at, '-infinity'))";

/// A report of an earlier generation is out of date: somebody has brought the webhook back since.
const DISABLE: &str = "
WITH report AS (
  SELECT DISTINCT ON (webhook_id) webhook_id, generation, disabled
  FROM jsonb_to_recordset($1::jsonb) AS r(webhook_id uuid, generation bigint, disabled text)
  WHERE disabled IS NOT NULL ORDER BY webhook_id, generation DESC
), before AS (
  SELECT w.id, w.status, r.disabled FROM report r JOIN webhooks w ON w.id = r.webhook_id
  WHERE w.id = ANY (ARRAY(SELECT webhook_id FROM report)) AND w.generation = r.generation AND w.status IN ('active', 'paused') AND w.deleted_at IS NULL
  FOR NO KEY UPDATE OF w
), disabled AS (
  UPDATE webhooks w SET status = 'disabled', disabled_at = now(), disabled_reason = b.disabled,
    version = w.version + 1
  FROM before b WHERE w.id = b.id
  RETURNING w.id, w.organization_id, w.user_id, w.name, w.url, w.disabled_reason, w.failing_since, b.status AS was)
SELECT coalesce(json_agg(json_build_object('id', d.id, 'organization_id', d.organization_id, 'name', d.name,
  'url', d.url, 'was', d.was, 'reason', d.disabled_reason, 'failing_since', d.failing_since,
  'to', coalesce(u.email, o.email), 'locale', coalesce(u.locale, 'es'))), '[]')::text
FROM disabled d
JOIN organizations o ON o.id = d.organization_id
LEFT JOIN users_profile u ON u.id = d.user_id AND u.organization_id = d.organization_id AND u.deleted_at IS NULL";
