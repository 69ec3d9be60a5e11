//! Keeps partitions ahead of the calendar and throws away what has served its purpose.

use super::Job;
use crate::db::sql;
use crate::error::Result;

/// How many months ahead partitions exist.
const MONTHS_AHEAD: u32 = 3;

/// Creates partitions, drops answered idempotency keys after their day and outbox rows eight
/// days after they were dealt with (a week of events can be replayed); returns how many rows were thrown away.
pub async fn run(job: &Job) -> Result<u64> {
    let mut tx = job.begin();
    tx.value::<serde_json::Value>(
        sql("SELECT to_json(ensure_partitions($1::int)::text)::text").bind(MONTHS_AHEAD),
    )
    .await?;
    tx.only_value(sql(
        "WITH keys AS (DELETE FROM idempotency_keys WHERE expires_at < now() RETURNING 1),
         sent AS (DELETE FROM outbox_messages WHERE processed_at < now() - interval '8 days' RETURNING 1)
         SELECT ((SELECT count(*) FROM keys) + (SELECT count(*) FROM sent))::text",
    ))
    .await
}
