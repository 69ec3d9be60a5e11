//! What the license objects saw, into PostgreSQL.
//!
//! Every row comes with its id, so a repeated message inserts nothing and suspends nobody a second time.
//! What an object made it sends again until it hears from here that it is stored. The audit log gets a row for every address that took a slot, and one for the
//! validations of a license that came together; each single one is in `license_validations`.

use super::notices;
use crate::db::facts::{Action, Fact, Message};
use crate::db::{outbox, sql};
use crate::error::{Error, Result};
use crate::run::{Run, together};
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// What was new in a batch.
#[derive(Deserialize)]
struct News {
    collisions: Vec<Collision>,
    suspended: Vec<Suspended>,
    /// Validations that a webhook asks for by name, now in the outbox.
    told: Vec<Message>,
    /// What the objects of these keys made and need not send any more.
    stored: HashMap<String, Vec<Uuid>>,
}

#[derive(Deserialize)]
struct Collision {
    id: Uuid,
    license_id: Uuid,
    organization_id: Uuid,
    severity: String,
    address_count: i32,
}

#[derive(Deserialize)]
struct Suspended {
    id: Uuid,
    organization_id: Uuid,
    license_key: String,
    status: String,
}

/// Writes a batch of messages in one transaction.
///
/// # Errors
/// When a message is malformed or the database fails.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    let messages = together(bodies)?;
    let mut tx = run.begin();
    tx.execute(sql(BINDINGS).bind(&messages).bind(&run.name))
        .await?;
    let news: News = tx.value(sql(REST).bind(&messages).bind(&run.name)).await?;
    for collision in &news.collisions {
        tx.record(Fact {
            organization_id: Some(collision.organization_id),
            action: Action::Create,
            event: "license.collision",
            resource_type: "license",
            resource_id: collision.license_id,
            changes: Value::Null,
            payload: Some(json!({
                "collision_id": collision.id, "license_id": collision.license_id,
                "severity": collision.severity, "address_count": collision.address_count,
            })),
        });
    }
    for license in &news.suspended {
        tx.record(Fact {
            organization_id: Some(license.organization_id),
            action: Action::Update,
            event: "license.revoked",
            resource_type: "license",
            resource_id: license.id,
            changes: json!({ "before": { "status": license.status },
                "after": { "status": "suspended", "suspension_reason": "COLLISION_LIMIT" } }),
            payload: Some(json!({ "license": {
                "id": license.id, "license_key": license.license_key, "status": "suspended",
                "suspension_reason": "COLLISION_LIMIT" } })),
        });
    }
    let mut sent = tx.commit().await?;
    sent.extend(news.told);
    let suspended = news
        .suspended
        .into_iter()
        .map(|license| license.license_key);
    notices::forget_all(&run.env, &suspended.collect::<Vec<_>>()).await?;
    // Unsent ones stay in the outbox for the sweep.
    let _ = outbox::publish(&run.env, &run.database, &sent).await;
    confirm(run, &news.stored).await
}

/// Tells the objects what is stored by now. One that does not hear of it sends everything again.
async fn confirm(run: &Run, stored: &HashMap<String, Vec<Uuid>>) -> Result<()> {
    let told = stored
        .iter()
        .map(async |(key, ids)| match LicenseKey::parse(key) {
            Ok(key) => license::settled(&run.env, &key, ids).await,
            Err(_) => Ok(()),
        });
    let told: worker::Result<Vec<()>> = join_all(told).await.into_iter().collect();
    told.map(drop).map_err(Error::unavailable)
}

/// Bindings come first, in a statement of their own: the rest refers to them.
const BINDINGS: &str = "
WITH message AS (
  SELECT l.id AS license_id, l.organization_id, m FROM jsonb_array_elements($1::jsonb) AS t(m)
  JOIN licenses l ON l.id = (m->>'license_id')::uuid
), bound AS (
  INSERT INTO license_ip_bindings (id, license_id, organization_id, ip_address, machine_id, hostname, source,
    first_seen_at, last_seen_at)
  SELECT b.id, license_id, organization_id, b.ip, b.machine_id, b.hostname, 'auto', b.first_seen_at,
    -- Lines may have come before their binding.
    greatest(b.first_seen_at, (SELECT max(v.created_at) FROM license_validations v WHERE v.ip_binding_id = b.id AND v.is_valid))
  FROM message, jsonb_to_recordset(m->'bindings') AS b(
    id uuid, ip inet, machine_id text, hostname text, first_seen_at timestamptz)
  ON CONFLICT DO NOTHING
  RETURNING id, license_id, organization_id, ip_address, machine_id, hostname
)
INSERT INTO audit_logs (organization_id, actor_kind, action, event, resource_type, resource_id, request_id, changes)
SELECT organization_id, 'system', 'create', 'license.ip_bound', 'license', license_id, $2, jsonb_build_object(
  'before', '{}'::jsonb, 'after', jsonb_build_object('id', id, 'ip_address', abbrev(ip_address), 'machine_id', machine_id,
    'hostname', hostname, 'source', 'auto'))
FROM bound";

/// Rows that several batches may want are taken in one order. A period's count is the one that is running
/// when a line arrives, or the next if the line is of that.
const REST: &str = "
WITH message AS (
  SELECT l.id AS license_id, l.organization_id, l.license_key, m FROM jsonb_array_elements($1::jsonb) AS t(m)
  JOIN licenses l ON l.id = (m->>'license_id')::uuid
), line AS (
  SELECT v.*, l.organization_id FROM jsonb_array_elements($1::jsonb) AS t(m), jsonb_to_recordset(m->'validations') AS v(
    id uuid, license_id uuid, binding_id uuid, ip text, connection_ip inet, country text, is_valid boolean,
    failure_reason text, device_info jsonb, machine_id text, hostname text, nonce text, user_agent text, created_at timestamptz)
  JOIN licenses l ON l.id = v.license_id
), seen AS (
  SELECT b.id, s.at FROM license_ip_bindings b JOIN (
    SELECT binding_id, max(created_at) AS at FROM line WHERE is_valid AND binding_id IS NOT NULL
    GROUP BY binding_id) s ON s.binding_id = b.id
  WHERE b.last_seen_at < s.at ORDER BY b.id FOR NO KEY UPDATE OF b
), used AS (
  UPDATE license_ip_bindings b SET last_seen_at = seen.at FROM seen WHERE b.id = seen.id
), logged AS (
  INSERT INTO license_validations (id, license_id, organization_id, ip_binding_id, ip_address, connection_ip,
    country, is_valid, failure_reason, device_info, machine_id, hostname, nonce, user_agent, created_at)
  SELECT id, license_id, organization_id, binding_id, ip::inet, connection_ip, country, is_valid, failure_reason,
    device_info, machine_id, hostname, nonce, left(user_agent, 500), created_at
  FROM line
  ON CONFLICT DO NOTHING
  RETURNING license_id, organization_id, is_valid, created_at
), counted AS (
  INSERT INTO license_usage_counts AS c (license_id, organization_id, period_start, validations)
  SELECT n.license_id, n.organization_id, n.period_start, count(*) FROM (
    SELECT logged.license_id, logged.organization_id,
      CASE WHEN l.current_period_end <= logged.created_at THEN l.current_period_end
           ELSE coalesce(l.current_period_start, l.starts_at) END AS period_start
    FROM logged JOIN licenses l ON l.id = logged.license_id) n
  GROUP BY 1, 2, 3 ORDER BY 1, 3
  ON CONFLICT (license_id, period_start) DO UPDATE SET validations = c.validations + excluded.validations
), audited AS (
  INSERT INTO audit_logs (organization_id, actor_kind, action, event, resource_type, resource_id, request_id, changes)
  SELECT organization_id, 'system', 'api_call', 'license.validated', 'license', license_id, $2, jsonb_build_object(
    'before', '{}'::jsonb, 'after', jsonb_build_object('validations', count(*), 'refused', count(*) FILTER (WHERE NOT is_valid)))
  FROM logged GROUP BY license_id, organization_id
), made AS (
  SELECT c.*, license_id, organization_id FROM message, jsonb_to_recordset(m->'collisions') AS c(
    id uuid, ip_a inet, ip_b inet, binding_a uuid, binding_b uuid, severity text, address_count int,
    detected_at timestamptz, suspend boolean, reactivations int)
), collided AS (
  INSERT INTO license_collisions (id, license_id, organization_id, ip_address_a, ip_address_b, ip_binding_a,
    ip_binding_b, severity, address_count, detected_at, suspended_license)
  SELECT id, license_id, organization_id, ip_a, ip_b,
    (SELECT b.id FROM license_ip_bindings b WHERE b.id = binding_a),
    (SELECT b.id FROM license_ip_bindings b WHERE b.id = binding_b),
    severity::collision_severity, address_count, detected_at, coalesce(suspend, false)
  FROM made
  ON CONFLICT (id) DO NOTHING
  RETURNING id, license_id, organization_id, severity, address_count
), before AS (
  SELECT l.* FROM (
    SELECT DISTINCT license_id, coalesce(reactivations, 0) AS reactivations FROM made
    WHERE suspend AND (id IN (SELECT id FROM collided)) IS TRUE ORDER BY 1, 2) m
  CROSS JOIN LATERAL (
    SELECT l.id, l.organization_id, l.license_key, l.status FROM licenses l
    WHERE l.id = m.license_id AND l.reactivations = m.reactivations AND l.status IN ('active', 'trial')
    FOR NO KEY UPDATE) l
), suspended AS (
  UPDATE licenses l SET status = 'suspended', suspended_at = now(), suspension_reason = 'COLLISION_LIMIT'
  FROM before WHERE l.id = before.id
), told AS (
  INSERT INTO outbox_messages (id, organization_id, topic, payload, created_at)
  SELECT id, organization_id, 'license.validated', jsonb_build_object('validation', jsonb_build_object(
    'id', id, 'license_id', license_id, 'is_valid', is_valid, 'failure_reason', failure_reason,
    'ip_address', ip, 'machine_id', machine_id, 'hostname', hostname)), created_at
  FROM line
  WHERE EXISTS (SELECT 1 FROM webhooks w WHERE w.organization_id = line.organization_id
    AND w.status IN ('active', 'paused') AND w.deleted_at IS NULL AND 'license.validated' = ANY (w.events))
  ON CONFLICT (id) DO NOTHING
  RETURNING id, organization_id, topic, payload, created_at
), stored AS (
  SELECT license_key, json_agg(row.id) AS ids FROM message, LATERAL (
    SELECT b->>'id' AS id FROM jsonb_array_elements(m->'bindings') AS t(b)
    UNION ALL SELECT c->>'id' FROM jsonb_array_elements(m->'collisions') AS t(c)) AS row
  GROUP BY license_key
)
SELECT json_build_object(
  'told', (SELECT coalesce(json_agg(told), '[]') FROM told),
  'collisions', (SELECT coalesce(json_agg(collided), '[]') FROM collided),
  'suspended', (SELECT coalesce(json_agg(before), '[]') FROM before),
  'stored', (SELECT coalesce(json_object_agg(license_key, ids), '{}') FROM stored))::text";
