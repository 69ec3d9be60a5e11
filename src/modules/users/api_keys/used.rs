//! How often an API key was used.

use crate::db::sql;
use crate::error::Result;
use crate::run::Run;
use serde_json::Value;

/// Writes down how often an API key was used, and adds what is new to the organization's month. Totals
/// only grow, so reports may repeat or overtake.
///
/// # Errors
/// When the database fails; the report comes again then.
pub async fn write(run: &Run, report: &Value) -> Result<()> {
    let query = sql(
        "WITH before AS (
           SELECT id, usage_count FROM user_api_keys WHERE id = ($1::jsonb->>'api_key_id')::uuid FOR NO KEY UPDATE
         ), used AS (
           UPDATE user_api_keys k SET
             usage_count = greatest(k.usage_count, ($1::jsonb->>'usage_count')::bigint),
             last_used_at = greatest(k.last_used_at, to_timestamp(($1::jsonb->>'last_used_ms')::bigint / 1000.0))
           FROM before WHERE k.id = before.id
           RETURNING k.organization_id, k.usage_count - before.usage_count AS calls)
         INSERT INTO organization_usage AS m (organization_id, period, api_calls)
         SELECT organization_id,
           date_trunc('month', to_timestamp(($1::jsonb->>'last_used_ms')::bigint / 1000.0))::date, calls
         FROM used WHERE calls > 0
         ON CONFLICT (organization_id, period) DO UPDATE SET api_calls = m.api_calls + excluded.api_calls",
    );
    run.begin().only_execute(query.bind(report)).await
}
