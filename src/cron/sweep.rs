//! Sends what was committed but not dealt with: the request died before it sent, the queue was away, or
//! it took a message and lost it. Within two minutes, then less and less often; what nobody deals with in a
//! day becomes a dead letter.

use crate::db::facts::Message;
use crate::db::outbox::{MOST_ATTEMPTS, MOST_BYTES, QUEUES};
use crate::db::{outbox, sql};
use crate::error::Result;
use crate::run::Run;

/// Messages a step. The queue takes 100 at once.
const STEP: u32 = 50;

/// Sweeps until nothing is left; returns how many were sent. A queue that is away holds up no other.
pub async fn sweep(run: &Run) -> Result<u64> {
    let mut sent = 0;
    let mut outcome = Ok(());
    for (queue, mine) in QUEUES {
        let swept = async {
            bury(run, queue, mine).await?;
            one_queue(run, mine, &mut sent).await
        };
        outcome = outcome.and(swept.await);
    }
    outcome.map(|()| sent)
}

async fn one_queue(run: &Run, mine: &str, sent: &mut u64) -> Result<()> {
    loop {
        // Taken before they are sent, so that two sweeps at once do not send the same ones.
        let messages: Vec<Message> = run
            .begin()
            .only_rows(
                sql(format!(
                    "UPDATE outbox_messages o SET available_at = now() + interval '30 seconds'
                     WHERE o.id = ANY (ARRAY(SELECT o.id FROM outbox_messages o
                       WHERE o.processed_at IS NULL AND o.available_at <= now() AND {mine}
                       ORDER BY o.available_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED))
                     RETURNING o.id, o.organization_id, o.topic, o.payload, o.created_at"
                ))
                .bind(STEP),
            )
            .await?;
        outbox::publish(&run.env, &run.database, &messages).await?;
        *sent += messages.len() as u64;
        if messages.len() < STEP as usize {
            return Ok(());
        }
    }
}

/// Makes dead letters of what was sent often enough.
async fn bury(run: &Run, queue: &str, mine: &str) -> Result<()> {
    let query = sql(format!(
        "WITH dead AS (
           UPDATE outbox_messages o SET available_at = 'infinity'
           WHERE o.id = ANY (ARRAY(SELECT o.id FROM outbox_messages o
             WHERE o.processed_at IS NULL AND o.available_at <= now() AND o.attempts >= $2::int AND {mine}
             LIMIT 100 FOR UPDATE SKIP LOCKED))
           RETURNING o.id, o.organization_id, o.topic, o.payload, o.created_at, o.attempts
         ), letter AS (
           SELECT created_at, attempts, json_build_object('id', id, 'organization_id', organization_id,
             'topic', topic, 'payload', payload, 'created_at', created_at)::text AS whole,
             json_build_object('outbox', id)::text AS name
           FROM dead
         ), body AS (
           SELECT *, CASE WHEN octet_length(whole) > $3::int THEN name ELSE whole END AS body FROM letter)
         INSERT INTO dead_letters AS d (queue, body, body_hash, reason, queued_at)
         SELECT $1, body, encode(sha256(convert_to(body, 'UTF8')), 'hex'),
           format('sent %s times, and no consumer dealt with it', attempts), created_at
         FROM body
         ON CONFLICT (queue, body_hash) DO UPDATE SET status = 'waiting', deaths = d.deaths + 1,
           last_seen_at = now(), reason = excluded.reason"
    ));
    let query = query.bind(queue).bind(MOST_ATTEMPTS).bind(MOST_BYTES);
    run.begin().only_execute(query).await
}
