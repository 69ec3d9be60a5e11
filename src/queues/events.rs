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
        organization_closed(delivery, message).await?;
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

/// Makes the edge forget the licenses of an organization that was closed.
async fn organization_closed(delivery: &Delivery, message: &Message) -> Result<()> {
    if message.topic != "organization.deleted" {
        return Ok(());
    }
    let tx = delivery
        .database
        .begin(Scope::System, Actor::system(&delivery.run));
    let keys: Vec<String> = tx
        .only_value(
            sql("SELECT coalesce(json_agg(license_key), '[]')::text FROM licenses WHERE organization_id = $1::uuid")
                .bind(message.organization_id),
        )
        .await?;
    for key in &keys {
        edge::forget_from(&delivery.env, key).await?;
    }
    Ok(())
}

/// Writes down how often an API key was used, and adds what is new to the organization's month. Totals
/// only grow, so reports may repeat or overtake.
async fn api_key_used(delivery: &Delivery, payload: &Value) -> Result<()> {
    let tx = delivery
        .database
        .begin(Scope::System, Actor::system(&delivery.run));
    tx.only_value::<Option<()>>(
        sql("WITH used AS (
               UPDATE user_api_keys SET
                 usage_count = greatest(usage_count, ($1::jsonb->>'usage_count')::bigint),
                 last_used_at = greatest(last_used_at, to_timestamp(($1::jsonb->>'last_used_ms')::bigint / 1000.0))
               WHERE id = ($1::jsonb->>'api_key_id')::uuid
               RETURNING organization_id, new.usage_count - old.usage_count AS calls)
             INSERT INTO organization_usage AS m (organization_id, period, api_calls)
             SELECT organization_id,
               date_trunc('month', to_timestamp(($1::jsonb->>'last_used_ms')::bigint / 1000.0))::date, calls
             FROM used WHERE calls > 0
             ON CONFLICT (organization_id, period) DO UPDATE SET api_calls = m.api_calls + excluded.api_calls")
        .bind(payload),
    )
    .await
    .map(|_| ())
}
