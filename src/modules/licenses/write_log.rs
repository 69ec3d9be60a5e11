//! What the license objects saw, into PostgreSQL.
//!
//! Every row comes with its id from the object, so a repeated message inserts nothing and suspends
//! nobody a second time. The audit log gets a row for every address that took a slot, and one for the
//! validations of a license that came together; each single one is in `license_validations`.

use super::edge;
use crate::db::facts::{Action, Fact, Message};
use crate::db::{outbox, sql};
use crate::error::Result;
use crate::run::{Run, together};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// What was new in a batch.
#[derive(Deserialize)]
struct News {
    collisions: Vec<Collision>,
    suspended: Vec<Suspended>,
    /// Validations that a webhook asks for by name, now in the outbox.
    told: Vec<Message>,
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
    for license in &news.suspended {
        edge::forget_from(&run.env, &license.license_key).await?;
    }
    // Unsent ones stay in the outbox for the sweep.
    let _ = outbox::publish(&run.env, &run.database, &sent).await;
    Ok(())
}

/// Bindings come first, in a statement of their own: the rest refers to them.
const BINDINGS: &str = "
WITH message AS (
  SELECT l.id AS license_id, l.organization_id, m FROM jsonb_array_elements($1::jsonb) AS t(m)
  JOIN licenses l ON l.id = (m->>'license_id')::uuid), bound AS (
  INSERT INTO license_ip_bindings (id, license_id, organization_id, ip_address, machine_id, hostname, source,
    first_seen_at, last_seen_at)
  SELECT b.id, license_id, organization_id, b.ip, b.machine_id, b.hostname, 'auto', b.first_seen_at, b.first_seen_at
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

const REST: &str = "
WITH message AS (
  SELECT l.id AS license_id, l.organization_id, m FROM jsonb_array_elements($1::jsonb) AS t(m)
  JOIN licenses l ON l.id = (m->>'license_id')::uuid
), seen AS (
  UPDATE license_ip_bindings b SET last_seen_at = greatest(b.last_seen_at, s.at)
  FROM (SELECT s.binding_id, max(s.last_seen_at) AS at
        FROM message, jsonb_to_recordset(m->'seen') AS s(binding_id uuid, last_seen_at timestamptz)
        GROUP BY s.binding_id) s
  WHERE b.id = s.binding_id
), logged AS (
  INSERT INTO license_validations (id, license_id, organization_id, ip_binding_id, ip_address, connection_ip,
    is_valid, failure_reason, device_info, machine_id, hostname, nonce, user_agent, created_at)
  SELECT v.id, license_id, organization_id, v.binding_id, v.ip, v.connection_ip, v.is_valid, v.failure_reason,
    v.device_info, v.machine_id, v.hostname, v.nonce, left(v.user_agent, 500), v.created_at
  FROM message, jsonb_to_recordset(m->'validations') AS v(
    id uuid, binding_id uuid, ip inet, connection_ip inet, is_valid boolean, failure_reason text,
    device_info jsonb, machine_id text, hostname text, nonce text, user_agent text, created_at timestamptz)
  ON CONFLICT DO NOTHING
  RETURNING license_id, organization_id, is_valid
), audited AS (
  INSERT INTO audit_logs (organization_id, actor_kind, action, event, resource_type, resource_id, request_id, changes)
  SELECT organization_id, 'system', 'api_call', 'license.validated', 'license', license_id, $2, jsonb_build_object(
    'before', '{}'::jsonb, 'after', jsonb_build_object('validations', count(*), 'refused', count(*) FILTER (WHERE NOT is_valid)))
  FROM logged GROUP BY license_id, organization_id
), collided AS (
  INSERT INTO license_collisions (id, license_id, organization_id, ip_address_a, ip_address_b, ip_binding_a,
    ip_binding_b, severity, address_count, detected_at, suspended_license)
  SELECT c.id, license_id, organization_id, c.ip_a, c.ip_b,
    (SELECT b.id FROM license_ip_bindings b WHERE b.id = c.binding_a),
    (SELECT b.id FROM license_ip_bindings b WHERE b.id = c.binding_b),
    c.severity::collision_severity, c.address_count, c.detected_at, coalesce(c.suspend, false)
  FROM message, jsonb_to_recordset(m->'collisions') AS c(
    id uuid, ip_a inet, ip_b inet, binding_a uuid, binding_b uuid, severity text, address_count int,
    detected_at timestamptz, suspend boolean)
  ON CONFLICT (id) DO NOTHING
  RETURNING id, license_id, organization_id, severity, address_count, suspended_license
), before AS (
  SELECT l.id, l.organization_id, l.license_key, l.status FROM licenses l
  WHERE l.status IN ('active', 'trial') AND l.id IN (SELECT license_id FROM collided WHERE suspended_license)
  FOR UPDATE
), suspended AS (
  UPDATE licenses l SET status = 'suspended', suspended_at = now(), suspension_reason = 'COLLISION_LIMIT'
  FROM before WHERE l.id = before.id
), told AS (
  INSERT INTO outbox_messages (id, organization_id, topic, payload, created_at)
  SELECT v.id, organization_id, 'license.validated', jsonb_build_object('validation', jsonb_build_object(
    'id', v.id, 'license_id', license_id, 'is_valid', v.is_valid, 'failure_reason', v.failure_reason,
    'ip_address', v.ip, 'machine_id', v.machine_id, 'hostname', v.hostname)), v.created_at
  FROM message, jsonb_to_recordset(m->'validations') AS v(
    id uuid, ip text, is_valid boolean, failure_reason text, machine_id text, hostname text, created_at timestamptz)
  WHERE EXISTS (SELECT 1 FROM webhooks w WHERE w.organization_id = message.organization_id
    AND w.status IN ('active', 'paused') AND w.deleted_at IS NULL AND 'license.validated' = ANY (w.events))
  ON CONFLICT (id) DO NOTHING
  RETURNING id, organization_id, topic, payload, created_at
)
SELECT json_build_object(
  'told', (SELECT coalesce(json_agg(told), '[]') FROM told),
  'collisions', (SELECT coalesce(json_agg(collided), '[]') FROM collided),
  'suspended', (SELECT coalesce(json_agg(before), '[]') FROM before))::text";
