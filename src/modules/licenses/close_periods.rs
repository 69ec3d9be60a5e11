//! Closes usage periods: writes what was consumed to `license_usage_log` and starts the next period.

use crate::db::{Query, sql};
use crate::error::Result;
use crate::run::Run;
use serde_json::json;
use uuid::Uuid;

/// Licenses a step. Each is a transaction of its own: whatever stops the job, what was done is done.
const STEP: u32 = 50;

/// Rolls every period that has ended, and hands the counts of closed periods over to their rows, those that
/// came late as well; returns how many steps of a period were made.
pub async fn close(run: &Run) -> Result<u64> {
    let rolled = repeat(run, || roll(RUNNING_OUT)).await?;
    Ok(rolled + repeat(run, hand_over).await?)
}

async fn repeat(run: &Run, step: impl Fn() -> Query) -> Result<u64> {
    let mut done = 0;
    loop {
        let some: u64 = run.begin().only_value(step().bind(STEP)).await?;
        done += some;
        if some == 0 {
            return Ok(done);
        }
    }
}

/// What the job looks for: whoever else is at a license will do it.
const RUNNING_OUT: &str = "WHERE status <> 'cancelled' AND current_period_start IS NOT NULL AND current_period_end <= now()
           ORDER BY current_period_end LIMIT $1::bigint FOR NO KEY UPDATE SKIP LOCKED";

/// One step of the periods of these licenses, for whoever is about to count something in the running one, and
/// their rows locked until the transaction ends. Repeat it while it returns more than nought.
pub fn roll_these(licenses: &[Uuid]) -> Query {
    roll(
        "WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))
             AND coalesce(current_period_end, starts_at + interval '1 month') <= now()
           ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(json!(licenses))
}

/// A period ends a whole number of months after the license's start, so that the 31st does not drift to the
/// 28th.
fn roll(due: &str) -> Query {
    sql(format!("WITH due AS (
           SELECT id, organization_id, starts_at, coalesce(current_period_start, starts_at) AS first,
             coalesce(current_period_end, starts_at + interval '1 month') AS last, ai_requests_used, ai_cost_used,
             ai_tokens_input_used, ai_tokens_output_used, storage_used_bytes,
             ((extract(year FROM coalesce(current_period_end, starts_at + interval '1 month')) - extract(year FROM starts_at)) * 12
               + extract(month FROM coalesce(current_period_end, starts_at + interval '1 month'))
               - extract(month FROM starts_at))::int + 1 AS months
           FROM licenses
           {due}
         ), closed AS (
           INSERT INTO license_usage_log (license_id, organization_id, period_start, period_end,
             ai_requests_count, tokens_input, tokens_output, storage_bytes, calculated_cost)
           SELECT due.id, due.organization_id, first, last, ai_requests_used,
             ai_tokens_input_used, ai_tokens_output_used, storage_used_bytes, ai_cost_used
           FROM due
           ON CONFLICT (license_id, period_start, period_end, call_id) DO NOTHING
         ), rolled AS (
           UPDATE licenses l SET ai_requests_used = 0, ai_cost_used = 0, ai_tokens_input_used = 0,
             ai_tokens_output_used = 0, current_period_start = due.last,
             current_period_end = due.starts_at + make_interval(months => due.months)
           FROM due WHERE l.id = due.id RETURNING 1)
         SELECT count(*)::text FROM rolled"))
}

/// Counts whose period has a row in `license_usage_log`; none is shorter than February.
fn hand_over() -> Query {
    sql("WITH due AS (
           SELECT c.license_id, c.period_start FROM license_usage_counts c
           WHERE c.period_start <= now() - interval '28 days' AND EXISTS (SELECT FROM license_usage_log u
             WHERE u.license_id = c.license_id AND u.period_start = c.period_start AND u.call_id IS NULL)
           ORDER BY c.license_id, c.period_start LIMIT $1::bigint FOR UPDATE OF c SKIP LOCKED
         ), taken AS (
           DELETE FROM license_usage_counts c USING due
           WHERE c.license_id = due.license_id AND c.period_start = due.period_start
             AND c.license_id = ANY (ARRAY(SELECT license_id FROM due))
           RETURNING c.license_id, c.period_start, c.validations
         ), added AS (
           UPDATE license_usage_log u SET validations_count = u.validations_count + taken.validations
           FROM taken WHERE u.license_id = taken.license_id AND u.period_start = taken.period_start
             AND u.call_id IS NULL)
         SELECT count(*)::text FROM taken")
}
