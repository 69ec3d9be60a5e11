//! `POST /api/system/dead-letters/{id}/replay`

use super::model::{DeadLetter, Nothing};
use super::queries::{COLUMNS, DEAD_LETTER, letters};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, SystemWrite};
use crate::http::reply::Accepted;
use crate::platform::queues;
use serde::Deserialize;
use serde_json::json;

/// What is sent, and where.
#[derive(Deserialize)]
struct Sendable {
    queue: String,
    body: String,
}

/// Sends a dead letter to its queue again. Consumers recognise what they have dealt with, so sending it
/// twice does no harm; one that dies again waits here again. One that no queue would take is refused: it can
/// only be read and dropped.
pub async fn replay(
    permit: Permit<SystemWrite>,
    Id(id): Id,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Accepted<DeadLetter>> {
    let mut tx = permit.begin_once(key).await?;
    let before: Raw<DeadLetter> = tx
        .one(letters().id(id).lock(COLUMNS), Code::NotFound)
        .await?;
    let query = letters().id(id).read("d.queue, d.body");
    let letter: Sendable = tx.one(query, Code::NotFound).await?;
    let stuck =
        |problem: &str| Error::new(Code::LetterStuck).with_details(json!({ "problem": problem }));
    let binding =
        queues::binding_of(&letter.queue).ok_or_else(|| stuck("no queue has this name"))?;
    if letter.body.len() > queues::MESSAGE_BYTES {
        return Err(stuck("it is larger than a queue takes").into());
    }
    // Before it is marked: dying in between leaves it waiting, not lost.
    queues::send(permit.call.env(), binding, std::iter::once(letter.body)).await?;
    let set = Set::new()
        .fixed("status = 'replayed'")
        .fixed("replayed_at = now()")
        .to("replayed_by = {}::uuid", permit.principal.user_id);
    let after: Raw<DeadLetter> = tx
        .one(letters().id(id).set(set, COLUMNS), Code::NotFound)
        .await?;
    tx.happens_in(None);
    tx.record_change(&DEAD_LETTER, "dead_letter.replayed", &before, &after);
    permit.commit(tx, Accepted::raw(&after)).await
}
