//! What the objects of pools know, into PostgreSQL.

use crate::db::sql;
use crate::error::Result;
use crate::run::Run;
use serde_json::Value;

/// Writes down how often keys were used and whether they may be. Totals only grow and states have numbers, so
/// reports may repeat or overtake. A key that became disabled is an event of the system as well.
///
/// # Errors
/// When the database fails; the report comes again then.
pub async fn write(run: &Run, report: &Value) -> Result<()> {
    run.begin().only_execute(sql(WRITE).bind(report)).await
}

const WRITE: &str = "
WITH report AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb->'keys') AS r(id uuid, sequence bigint, generation int,
    usage_count bigint, tokens_used bigint, last_used_ms bigint, consecutive_failures bigint, state text,
    reason text, until_ms bigint, since_ms bigint)
), before AS (
  -- What is held is what is compared: somebody may have put a key back while this waited for its row.
  SELECT k.id, k.state, k.report_sequence, k.generation FROM ai_api_pool k JOIN report r ON r.id = k.id
  ORDER BY k.id FOR NO KEY UPDATE OF k
), total AS (
  SELECT r.*, b.state AS was, b.report_sequence < r.sequence AND b.generation <= r.generation AS newer
  FROM report r JOIN before b ON b.id = r.id
), written AS (
  UPDATE ai_api_pool k SET
    usage_count = greatest(k.usage_count, t.usage_count),
    tokens_used = greatest(k.tokens_used, t.tokens_used),
    last_used_at = greatest(k.last_used_at, to_timestamp(t.last_used_ms / 1000.0)),
    report_sequence = greatest(k.report_sequence, t.sequence),
    consecutive_failures = CASE WHEN t.newer THEN least(t.consecutive_failures, 2147483647)::int
      ELSE k.consecutive_failures END,
    is_healthy = CASE WHEN t.newer THEN t.state = 'active' ELSE k.is_healthy END,
    state = CASE WHEN t.newer THEN t.state ELSE k.state END,
    state_reason = CASE WHEN t.newer THEN left(t.reason, 100) ELSE k.state_reason END,
    state_since = CASE WHEN t.newer THEN to_timestamp(t.since_ms / 1000.0) ELSE k.state_since END,
    cooling_until = CASE WHEN t.newer THEN to_timestamp(t.until_ms / 1000.0) ELSE k.cooling_until END
  FROM total t WHERE k.id = t.id
  RETURNING k.id, k.organization_id, k.provider, k.key_name, t.newer AND t.state = 'disabled' AND t.was <> 'disabled' AS ends,
    t.reason)
INSERT INTO system_events (event_type, severity, source, message, details)
SELECT 'ai_key.disabled', 'warning', 'ai_pool', format('key %s of %s is disabled: %s', key_name, provider, reason),
  jsonb_build_object('ai_key_id', id, 'organization_id', organization_id, 'reason', reason)
FROM written WHERE ends";
