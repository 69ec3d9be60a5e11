//! `DELETE /api/system/dead-letters/{id}`

use super::model::DeadLetter;
use super::queries::{COLUMNS, DEAD_LETTER, letters};
use crate::db::{Raw, sql};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, SystemWrite};
use crate::http::reply::NoContent;

/// The row of the outbox that a letter came from: it was parked until somebody had dealt with that.
const SETTLE: &str = "
UPDATE outbox_messages o SET processed_at = now(), available_at = now()
FROM dead_letters d
WHERE d.id = $1::uuid AND o.processed_at IS NULL AND o.available_at = 'infinity'
  AND o.id = (substring(d.body FROM '\"(?:id|outbox)\"\\s*:\\s*\"([0-9a-f-]{36})\"'))::uuid";

/// Drops a dead letter for good; the audit log keeps that it was there, and why.
pub async fn discard(
    permit: Permit<SystemWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    tx.execute(sql(SETTLE).bind(id)).await?;
    let query = letters().id(id).delete(COLUMNS);
    let letter: Raw<DeadLetter> = tx.one(query, Code::NotFound).await?;
    tx.happens_in(None);
    tx.record_end(&DEAD_LETTER, "dead_letter.dropped", &letter);
    permit.commit(tx, NoContent::done()).await
}
