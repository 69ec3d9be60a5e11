//! Closes usage periods: writes what was consumed to `license_usage_log` and starts the next period.

use crate::db::sql;
use crate::error::Result;
use crate::run::Run;

/// Licenses a step.
const STEP: u32 = 500;

/// Rolls every period that has ended; returns how many were closed. A period ends a whole number of
/// months after the license's start, so that the 31st does not drift to the 28th.
pub async fn close(run: &Run) -> Result<u64> {
    let mut closed = 0;
    loop {
        let step: u64 = run
            .begin()
            .only_value(
                sql("WITH due AS (
                       SELECT id, organization_id, starts_at, current_period_start AS first, current_period_end AS last,
                         ai_requests_used, storage_used_bytes,
                         ((extract(year FROM current_period_end) - extract(year FROM starts_at)) * 12
                           + extract(month FROM current_period_end) - extract(month FROM starts_at))::int + 1 AS months
                       FROM licenses
                       WHERE status <> 'cancelled' AND current_period_start IS NOT NULL AND current_period_end <= now()
                       ORDER BY current_period_end LIMIT $1::bigint FOR UPDATE SKIP LOCKED
                     ), closed AS (
                       INSERT INTO license_usage_log (license_id, organization_id, period_start, period_end,
                         ai_requests_count, tokens_input, tokens_output, storage_bytes, validations_count, calculated_cost)
                       SELECT due.id, due.organization_id, first, last, ai_requests_used,
                         coalesce(t.tokens_input, 0), coalesce(t.tokens_output, 0), storage_used_bytes,
                         (SELECT count(*) FROM license_validations v
                           WHERE v.license_id = due.id AND v.created_at >= first AND v.created_at < last),
                         coalesce(t.cost, 0)
                       FROM due LEFT JOIN LATERAL (
                         SELECT sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, sum(cost_usd) AS cost
                         FROM processed_tasks p
                         WHERE p.license_id = due.id AND p.created_at >= first AND p.created_at < last) t ON true
                       ON CONFLICT (license_id, period_start, period_end) DO NOTHING
                     ), rolled AS (
                       UPDATE licenses l SET ai_requests_used = 0, current_period_start = due.last,
                         current_period_end = due.starts_at + make_interval(months => due.months)
                       FROM due WHERE l.id = due.id RETURNING 1)
                     SELECT count(*)::text FROM rolled")
                .bind(STEP),
            )
            .await?;
        closed += step;
        if step == 0 {
            return Ok(closed);
        }
    }
}
