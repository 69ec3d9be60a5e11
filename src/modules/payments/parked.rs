//! Events that did not fit: tried again by themselves for a while, and shown to operators until they are dealt
//! with. `GET /api/payment-events` and `POST /api/payment-events/{id}/replay`

use super::facts::{self, Outcome};
use super::ledger::Ledger;
use crate::db::facts::{Action, Fact};
use crate::db::{Key, Listing, Raw, Rows, sql};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome as Answered;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Paged};
use crate::http::permit::{Permit, SystemRead, SystemWrite};
use crate::http::reply::Data;
use crate::platform::clock;
use crate::run::Run;
use chrono::{DateTime, Utc};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Events a run.
const STEP: u32 = 100;
/// So often an event is tried by itself: within minutes first, for three days in all.
const MOST_ATTEMPTS: u32 = 40;

/// The columns of [`PaymentEvent`], from alias `e`.
const COLUMNS: &str = "e.id, e.provider, e.event_id, e.type, e.livemode, e.order_id, e.payload, e.received_at, e.processed_at,
    e.error, e.attempts, e.next_attempt_at";

/// Events grow without end.
const KEY: Key = &[("received_at", "timestamptz"), ("id", "uuid")];

/// An event of a payment gateway.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PaymentEvent {
    /// Identifier.
    pub id: Uuid,
    /// Whose it is.
    pub provider: String,
    /// What the gateway calls it.
    pub event_id: String,
    /// Its kind, in the gateway's word.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of real money.
    pub livemode: bool,
    /// The order that it concerns.
    pub order_id: Option<Uuid>,
    /// What came, without what could be paid with.
    pub payload: Value,
    /// When it came.
    pub received_at: String,
    /// When it was dealt with.
    pub processed_at: Option<String>,
    /// Why it does not fit.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried again.
    pub next_attempt_at: Option<String>,
}

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PaymentEventFilters")]
pub struct Filters {
    /// Only those that do not fit, or only the others.
    pub parked: Option<bool>,
    /// Of one kind.
    #[garde(length(chars, max = 100))]
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// Lists what gateways told, the newest first.
pub async fn list(
    permit: Permit<SystemRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<PaymentEvent>> {
    let found = Rows::of("payment_events", "e")
        .when("(e.processed_at IS NULL) = {}::boolean", f.parked)
        .when("e.type = {}", f.kind.as_deref())
        .growing(KEY);
    let tx = permit.begin();
    tx.page(found, COLUMNS, "e.received_at {}, e.id {}", &page)
        .await
}

/// What to do with a parked event.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PaymentEventReplay")]
pub struct Replay {
    /// Nothing follows from it: it was looked at, and is done with.
    pub dismiss: bool,
}

/// Tries a parked event again, or is done with it.
pub async fn replay(
    permit: Permit<SystemWrite>,
    Id(id): Id,
    Once(key, Body(body)): Once<Body<Replay>>,
) -> Answered<Data<PaymentEvent>> {
    let mut looked = permit.begin_once(key.clone()).await?;
    let row = || Rows::of("payment_events", "e").id(id);
    let before: Raw<PaymentEvent> = looked
        .one(row().read(COLUMNS), Code::PaymentEventNotFound)
        .await?;
    // Nobody keeps a connection while they wait for a second one.
    drop(looked);
    let ledger = Ledger::of_call(&permit.call, permit.principal.actor(&permit.call));
    let open = before.tree()["processed_at"].is_null();
    if open && !body.dismiss {
        one(&ledger, id, clock::now()).await?;
    }
    if open && body.dismiss {
        let mut own = ledger.begin();
        own.execute(
            sql(
                "UPDATE payment_events SET processed_at = now(), next_attempt_at = NULL
                 WHERE id = $1::uuid AND processed_at IS NULL",
            )
            .bind(id),
        )
        .await?;
        ledger.commit(own, &[]).await?;
    }
    let mut tx = permit.begin_once(key).await?;
    let after: Raw<PaymentEvent> = tx
        .one(row().read(COLUMNS), Code::PaymentEventNotFound)
        .await?;
    tx.record(Fact {
        organization_id: None,
        action: Action::Update,
        event: "payment_event.replayed",
        resource_type: "payment_event",
        resource_id: id,
        changes: json!({ "before": {}, "after": { "dismissed": body.dismiss } }),
        payload: None,
    });
    permit.commit(tx, Data::raw(&after)).await
}

#[derive(Deserialize)]
struct Held {
    #[serde(rename = "type")]
    kind: String,
    payload: Value,
}

/// Tries one event again; whether it is dealt with now.
async fn one(ledger: &Ledger, id: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let mut tx = ledger.begin();
    let held: Option<Held> = tx
        .row(
            sql("SELECT e.type, e.payload FROM payment_events e
                 WHERE e.id = $1::uuid AND e.processed_at IS NULL FOR NO KEY UPDATE SKIP LOCKED")
            .bind(id),
        )
        .await?;
    let Some(held) = held else {
        return Ok(true);
    };
    let outcome = match facts::read(&held.kind, &held.payload["data"]["object"]) {
        _ if !held.payload["account"].is_null() => {
            Outcome::Parked(None, "it is of another account")
        }
        Err(why) => Outcome::Parked(None, why),
        Ok(None) => Outcome::Done(None, Vec::new()),
        Ok(Some(fact)) => facts::apply(&mut tx, ledger.config, &fact, now).await?,
    };
    let (order, why, keys) = match outcome {
        Outcome::Done(order, keys) => (order, None, keys),
        Outcome::Parked(order, why) => (order, Some(why), Vec::new()),
    };
    tx.finally(
        sql("UPDATE payment_events SET order_id = coalesce($2::uuid, order_id), error = coalesce($3, error),
               attempts = attempts + 1, processed_at = CASE WHEN $3 IS NULL THEN now() END,
               next_attempt_at = CASE WHEN $3 IS NOT NULL AND attempts < $4::int
                 THEN now() + least(make_interval(secs => 60 * 2.0 ^ least(attempts, 8)), interval '2 hours') END
             WHERE id = $1::uuid")
        .bind(id)
        .bind(order)
        .bind(why)
        .bind(MOST_ATTEMPTS),
    );
    ledger.commit(tx, &keys).await?;
    Ok(why.is_none())
}

#[derive(Deserialize)]
struct Due {
    id: Uuid,
}

/// Tries again what is due; returns how many events are dealt with now.
pub async fn retry(run: &Run) -> Result<u64> {
    let ledger = Ledger::of_run(run)?;
    let due: Vec<Due> = run
        .begin()
        .only_rows(
            sql("SELECT e.id FROM payment_events e
                 WHERE e.processed_at IS NULL AND e.next_attempt_at <= now() ORDER BY e.next_attempt_at LIMIT $1::bigint")
            .bind(STEP),
        )
        .await?;
    let mut done = 0;
    let mut outcome = Ok(());
    for Due { id } in due {
        match one(&ledger, id, clock::now()).await {
            Ok(true) => done += 1,
            Ok(false) => {}
            // As it may for good: others have their turn.
            Err(error) => {
                let query = sql(
                    "UPDATE payment_events SET next_attempt_at = now() + interval '15 minutes'
                     WHERE id = $1::uuid AND processed_at IS NULL AND next_attempt_at <= now()",
                );
                run.begin().only_execute(query.bind(id)).await?;
                outcome = Err(error);
            }
        }
    }
    outcome.map(|()| done)
}
