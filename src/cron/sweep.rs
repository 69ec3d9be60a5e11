//! Sends what was committed but not dealt with: the request died before it sent, the queue was away, or
//! it took a message and lost it.

use crate::db::facts::Message;
use crate::db::{outbox, sql};
use crate::error::Result;
use crate::run::Run;

/// Messages a step. The queue takes 100 at once.
const STEP: u32 = 100;
/// Minutes after which a message that no consumer has dealt with is sent again; longer than the queue's
/// own retries take.
const LOST_AFTER_MIN: u32 = 20;

/// Sweeps until nothing is left; returns how many were sent. Rows younger than ten seconds are still
/// their request's business.
pub async fn sweep(run: &Run) -> Result<u64> {
    let mut sent = 0;
    loop {
        let messages: Vec<Message> = run
            .begin()
            .only_rows(
                sql(
                    "SELECT id, organization_id, topic, payload, created_at FROM outbox_messages
                     WHERE processed_at IS NULL AND available_at <= now() - interval '10 seconds'
                       AND (sent_at IS NULL OR sent_at <= now() - make_interval(mins => $2::int))
                     ORDER BY available_at LIMIT $1::bigint",
                )
                .bind(STEP)
                .bind(LOST_AFTER_MIN),
            )
            .await?;
        outbox::publish(&run.env, &run.database, &messages).await?;
        sent += messages.len() as u64;
        if messages.len() < STEP as usize {
            return Ok(sent);
        }
    }
}
