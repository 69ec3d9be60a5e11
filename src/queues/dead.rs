//! What no consumer could deal with, kept where an operator reads it and sends it again.

use crate::db::sql;
use crate::error::Result;
use crate::run::Run;
use celaest_domain::json;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a reason may be, in characters.
const MAX_REASON: usize = 1_000;

/// A message that goes no further.
#[derive(Serialize)]
pub struct Letter {
    body: String,
    reason: String,
    /// When the queue took it, in Unix milliseconds.
    queued_at: i64,
    /// The row of the outbox that it came from: it is not swept any more.
    outbox: Option<Uuid>,
}

/// The parts of a message of the outbox that name its row.
#[derive(Deserialize)]
struct Named {
    id: Option<Uuid>,
    outbox: Option<Uuid>,
}

impl Letter {
    /// A message that the queue took at `queued_at`.
    pub fn new(body: &str, reason: &str, queued_at: i64) -> Self {
        let named: Option<Named> = json::parse(body).ok();
        Self {
            // What the database takes.
            body: body.replace('\0', "\u{fffd}"),
            reason: reason.replace('\0', "").chars().take(MAX_REASON).collect(),
            queued_at,
            outbox: named.and_then(|named| named.outbox.or(named.id)),
        }
    }
}

/// Keeps messages of `queue`. One that was here before is the same letter, waiting again.
///
/// # Errors
/// When the database fails.
pub async fn keep(run: &Run, queue: &str, letters: &[Letter]) -> Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let query = sql(KEEP).bind(serde_json::json!(letters)).bind(queue);
    run.begin().only_execute(query).await
}

const KEEP: &str = "
WITH letter AS (
  SELECT DISTINCT ON (body) * FROM jsonb_to_recordset($1::jsonb) AS l(
    body text, reason text, queued_at bigint, outbox uuid)
), parked AS (
  UPDATE outbox_messages o SET available_at = 'infinity', last_error = left(l.reason, 1000)
  FROM letter l WHERE o.id = l.outbox AND o.processed_at IS NULL
)
INSERT INTO dead_letters AS d (queue, body, body_hash, reason, queued_at)
SELECT $2, body, encode(sha256(convert_to(body, 'UTF8')), 'hex'), reason, to_timestamp(queued_at / 1000.0)
FROM letter
ON CONFLICT (queue, body_hash) DO UPDATE SET status = 'waiting', deaths = d.deaths + 1, last_seen_at = now(),
  reason = excluded.reason, queued_at = excluded.queued_at";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_what_the_database_takes_and_know_their_row() {
        let id = Uuid::from_u128(7);
        let letter = Letter::new("{\"a\":\0", &"\0é".repeat(2_000), 1);
        assert_eq!(
            (letter.body.as_str(), letter.outbox),
            ("{\"a\":\u{fffd}", None)
        );
        assert_eq!(letter.reason.chars().count(), MAX_REASON);
        for body in [
            format!(r#"{{"id":"{id}","topic":"x"}}"#),
            format!(r#"{{"outbox":"{id}"}}"#),
        ] {
            assert_eq!(Letter::new(&body, "", 1).outbox, Some(id), "{body}");
        }
        assert_eq!(Letter::new(r#"{"id":7}"#, "", 1).outbox, None);
    }
}
