//! Keeps partitions ahead of the calendar and throws away what has served its purpose.

use super::Job;
use crate::db::sql;
use crate::error::Result;
use crate::modules::settings::current;

/// How many months ahead partitions exist.
const MONTHS_AHEAD: u32 = 3;
/// Telemetry rows deleted in a step, so that no step locks many for long.
const TELEMETRY_ROWS: u32 = 10_000;

/// Creates partitions, drops telemetry past its time, answered idempotency keys after their day and outbox rows eight
/// days after they were dealt with (a week of events can be replayed); returns how many rows were thrown away.
pub async fn run(job: &Job) -> Result<u64> {
    let mut tx = job.begin();
    tx.value::<serde_json::Value>(
        sql("SELECT to_json(ensure_partitions($1::int)::text)::text").bind(MONTHS_AHEAD),
    )
    .await?;
    let swept: u64 = tx.only_value(sql(
        "WITH keys AS (DELETE FROM idempotency_keys WHERE expires_at < now() RETURNING 1),
         sent AS (DELETE FROM outbox_messages WHERE processed_at < now() - interval '8 days' RETURNING 1)
         SELECT ((SELECT count(*) FROM keys) + (SELECT count(*) FROM sent))::text",
    ))
    .await?;
    Ok(swept + telemetry(job).await?)
}

/// Deletes telemetry that is older than it is kept, in steps; returns how many rows.
async fn telemetry(job: &Job) -> Result<u64> {
    let days = current::read(&job.database)
        .await?
        .telemetry_retention_days();
    let mut done = 0;
    loop {
        let deleted: u64 = job
            .begin()
            .only_value(
                sql("SELECT to_json(prune_telemetry($1::int, $2::int))::text")
                    .bind(days)
                    .bind(TELEMETRY_ROWS),
            )
            .await?;
        done += deleted;
        if deleted < u64::from(TELEMETRY_ROWS) {
            return Ok(done);
        }
    }
}
