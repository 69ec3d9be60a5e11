//! `POST /api/webhooks/stripe`

use super::facts::{self, Outcome};
use super::ledger::Ledger;
use crate::db::facts::Actor;
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::body::Bytes;
use crate::http::params::Caller;
use crate::http::reply::Data;
use crate::platform::clock;
use celaest_domain::billing::signature::{Refusal, verify};
use celaest_domain::json;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The largest event, in bytes.
const MAX_EVENT: usize = 1024 * 1024;
/// The deepest that an event is looked into when it is cleaned.
const DEPTH: usize = 20;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PaymentEventOutcome")]
pub enum Became {
    /// It was taken over.
    Processed,
    /// It was here before.
    Repeated,
    /// It is of a kind that nothing follows from.
    Ignored,
    /// It does not fit, and is kept for an operator.
    Parked,
}

/// The answer to an event.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Taken {
    /// What became of it.
    pub outcome: Became,
}

/// An event, as far as it is looked at before it is kept.
#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    livemode: bool,
    #[serde(default)]
    account: Option<String>,
    data: Holder,
}

#[derive(Deserialize)]
struct Holder {
    object: Value,
}

/// Takes an event of Stripe's: what follows from it, and that it was here, are one transaction.
pub async fn stripe(Caller(call): Caller, Bytes(body): Bytes<MAX_EVENT>) -> Result<Data<Taken>> {
    let config = call.config;
    // Without a secret there is no such address.
    let secrets = config.stripe_webhook_secret.as_ref();
    let secrets = secrets.ok_or_else(|| Error::new(Code::RouteNotFound))?;
    let header = call.head.stripe_signature().unwrap_or_default();
    let now = clock::now();
    verify(header, &body, secrets.all(), now.timestamp()).map_err(|refusal| {
        let problem = match refusal {
            Refusal::Malformed => "malformed",
            Refusal::Wrong => "wrong",
            Refusal::OutOfTime => "out_of_time",
        };
        Error::new(Code::InvalidSignature).with_details(json!({ "reason": problem }))
    })?;
    let text = std::str::from_utf8(&body).map_err(|_| Error::new(Code::InvalidBody))?;
    let event: Event = json::parse(text).map_err(|_| Error::new(Code::InvalidBody))?;
    if event.id.len() > 255 || event.kind.len() > 100 {
        return Err(Code::InvalidBody.into());
    }
    if event.livemode != config.stripe_is_live() {
        return Err(Code::WrongMode.into());
    }
    let ledger = Ledger::of_call(&call, Actor::system(&format!("stripe:{}", event.id)));
    let outcome = take(&ledger, &event, now).await?;
    Ok(Data::of(&Taken { outcome }))
}

async fn take(ledger: &Ledger, event: &Event, now: DateTime<Utc>) -> Result<Became> {
    let mut tx = ledger.begin();
    // Whoever tells the same at the same moment waits here, and finds it told.
    let new: Option<Value> = tx
        .row(
            sql(
                "INSERT INTO payment_events (provider, event_id, type, payload, livemode)
                 VALUES ('stripe', $1, $2, $3::jsonb, $4::boolean)
                 ON CONFLICT (provider, event_id) DO NOTHING RETURNING id",
            )
            .bind(&event.id)
            .bind(&event.kind)
            .bind(kept(event))
            .bind(event.livemode),
        )
        .await?;
    if new.is_none() {
        return Ok(Became::Repeated);
    }
    let (outcome, became) = match facts::read(&event.kind, &event.data.object) {
        _ if event.account.is_some() => (
            Outcome::Parked(None, "it is of another account"),
            Became::Parked,
        ),
        Err(why) => (Outcome::Parked(None, why), Became::Parked),
        Ok(None) => (Outcome::Done(None, Vec::new()), Became::Ignored),
        Ok(Some(fact)) => match facts::apply(&mut tx, ledger.config, &fact, now).await? {
            Outcome::Parked(order, why) => (Outcome::Parked(order, why), Became::Parked),
            done => (done, Became::Processed),
        },
    };
    let (order, why, keys) = match outcome {
        Outcome::Done(order, keys) => (order, None, keys),
        Outcome::Parked(order, why) => (order, Some(why), Vec::new()),
    };
    tx.finally(
        sql("UPDATE payment_events SET order_id = $2::uuid, error = $3,
               processed_at = CASE WHEN $3 IS NULL THEN now() END,
               next_attempt_at = CASE WHEN $3 IS NOT NULL THEN now() + interval '1 minute' END
             WHERE provider = 'stripe' AND event_id = $1")
        .bind(&event.id)
        .bind(order)
        .bind(why),
    );
    if let Some(why) = why {
        tx.finally(
            sql(
                "INSERT INTO system_events (event_type, severity, source, message, details)
                 VALUES ('payment.parked', 'warning', 'stripe', $1, $2::jsonb)",
            )
            .bind(why)
            .bind(json!({ "event_id": event.id, "type": event.kind, "order_id": order })),
        );
    }
    ledger.commit(tx, &keys).await?;
    Ok(became)
}

/// What is kept of an event: nothing that pays, and nothing that PostgreSQL does not hold.
fn kept(event: &Event) -> Value {
    let mut object = event.data.object.clone();
    clean(&mut object, DEPTH);
    json!({ "id": event.id, "type": event.kind, "account": event.account, "data": { "object": object } })
}

fn clean(value: &mut Value, depth: usize) {
    match value {
        Value::Object(fields) if depth > 0 => {
            fields.retain(|name, _| name != "client_secret" && !name.contains('\0'));
            fields
                .values_mut()
                .for_each(|inner| clean(inner, depth - 1));
        }
        Value::Array(items) if depth > 0 => {
            items.iter_mut().for_each(|inner| clean(inner, depth - 1))
        }
        Value::Object(_) | Value::Array(_) => *value = Value::Null,
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', ""),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_pays_is_kept() {
        let event: Event = serde_json::from_value(json!({
            "id": "evt_1", "type": "payment_intent.succeeded", "data": { "object": {
                "id": "pi_1", "client_secret": "pi_1_secret", "next": [{ "client_secret": "x", "a": "b\u{0}c" }] } },
        }))
        .unwrap();
        let kept = kept(&event).to_string();
        assert!(!kept.contains("secret"), "{kept}");
        assert!(kept.contains(r#""a":"bc""#));
    }
}
