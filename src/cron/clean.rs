//! Keeps partitions ahead of the calendar and throws away what has served its purpose.

use crate::db::sql;
use crate::error::Result;
use crate::run::Run;
use crate::settings;

/// How many months ahead partitions exist.
const MONTHS_AHEAD: u32 = 3;
/// Telemetry rows deleted in a step, so that no step locks many for long.
const TELEMETRY_ROWS: u32 = 10_000;

/// Creates partitions, drops telemetry past its time, answered idempotency keys after their day and outbox rows eight
/// days after they were dealt with (a week of events can be replayed); returns how many rows were thrown away.
pub async fn clean(run: &Run) -> Result<u64> {
    let mut tx = run.begin();
    tx.execute(sql("SELECT ensure_partitions($1::int)::text").bind(MONTHS_AHEAD))
        .await?;
    let swept: u64 = tx.only_value(sql(
        "WITH keys AS (DELETE FROM idempotency_keys WHERE expires_at < now() RETURNING 1),
         sent AS (DELETE FROM outbox_messages WHERE processed_at < now() - interval '8 days' RETURNING 1)
         SELECT ((SELECT count(*) FROM keys) + (SELECT count(*) FROM sent))::text",
    ))
    .await?;
    Ok(swept + telemetry(run).await?)
}

/// Deletes telemetry that is older than it is kept, in steps; returns how many rows.
async fn telemetry(run: &Run) -> Result<u64> {
    let days = settings::read(&run.database)
        .await?
        .telemetry_retention_days();
    let mut done = 0;
    loop {
        let deleted: u64 = run
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
