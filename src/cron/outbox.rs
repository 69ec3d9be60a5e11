//! Sends what was committed but not sent: the request died, or the queue was away.

use super::Job;
use crate::db::facts::Message;
use crate::db::sql;
use crate::error::Result;
use crate::platform::queues::publish;

/// Messages a step. The queue takes 100 at once.
const STEP: u32 = 100;

/// Sweeps until nothing is left; returns how many were sent. Rows younger than ten seconds are still
/// their request's business.
pub async fn run(job: &Job) -> Result<u64> {
    let mut sent = 0;
    loop {
        let messages: Vec<Message> = job
            .begin()
            .only_rows(
                sql(
                    "SELECT id, organization_id, topic, payload FROM outbox_messages
                     WHERE sent_at IS NULL AND available_at <= now() - interval '10 seconds'
                     ORDER BY available_at LIMIT $1::bigint",
                )
                .bind(STEP),
            )
            .await?;
        publish(&job.env, &job.database, &messages).await?;
        sent += messages.len() as u64;
        if messages.len() < STEP as usize {
            return Ok(sent);
        }
    }
}
