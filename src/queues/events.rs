//! `celaest-events`: what happened, from the outbox and the objects, to whoever has to know.

use super::{Delivery, processed};
use crate::db::facts::{Actor, Message};
use crate::db::{Scope, sql};
use crate::error::{Error, Result};
use crate::modules::licenses::edge;
use crate::modules::webhooks::fan_out::fan_out;
use serde::Deserialize;
use serde_json::Value;

/// The queue's name.
pub const QUEUE: &str = "celaest-events";

/// What arrives: a message of the outbox, or a report that has no row there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Arrived {
    Message(Message),
    Report(Report),
}

/// What an object tells without a transaction of its own.
#[derive(Deserialize)]
struct Report {
    topic: String,
    payload: Value,
}

/// Runs a batch of events. Each may come again: forgetting twice and raising a total twice change nothing.
pub async fn run(delivery: &Delivery, bodies: &[&str]) -> Result<()> {
    let mut messages = Vec::with_capacity(bodies.len());
    for body in bodies {
        match serde_json::from_str(body).map_err(Error::internal)? {
            Arrived::Message(message) => messages.push(message),
            Arrived::Report(report) if report.topic == "api_key.used" => {
                api_key_used(delivery, &report.payload).await?;
            }
            Arrived::Report(report) => {
                return Err(Error::internal(format!("no consumer for {}", report.topic)));
            }
        }
    }
    for message in &messages {
        license_changed(delivery, &message.payload).await?;
    }
    fan_out(delivery, &messages).await?;
    processed(delivery, &messages).await
}

/// Makes the edge forget a license that changed. The change itself did that before its answer; this is
/// for the one that died in between.
async fn license_changed(delivery: &Delivery, payload: &Value) -> Result<()> {
    match payload["license"]["license_key"].as_str() {
        Some(key) => edge::forget_from(&delivery.env, key).await,
        None => Ok(()),
    }
}

/// Writes down how often an API key was used. Totals only grow, so reports may repeat or overtake.
async fn api_key_used(delivery: &Delivery, payload: &Value) -> Result<()> {
    let tx = delivery
        .database
        .begin(Scope::System, Actor::system(&delivery.run));
    tx.only_value::<Option<()>>(
        sql("UPDATE user_api_keys SET
               usage_count = greatest(usage_count, ($1::jsonb->>'usage_count')::bigint),
               last_used_at = greatest(last_used_at, to_timestamp(($1::jsonb->>'last_used_ms')::bigint / 1000.0))
             WHERE id = ($1::jsonb->>'api_key_id')::uuid")
        .bind(payload),
    )
    .await
    .map(|_| ())
}
