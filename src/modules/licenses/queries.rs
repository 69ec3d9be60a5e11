//! The SQL of licensing.

use super::model::{Binding, License};
use crate::db::{Query, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::reply::Raw;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::model::{BillingCycle, Status};

/// The columns of [`License`], from table or alias `l`. Clients do not see the internal notes.
pub const COLUMNS: &str = "l.id, l.organization_id, l.owner_id, l.plan_id, l.product_id, l.license_key, l.status,
    l.starts_at, l.expires_at, l.trial_ends_at, l.billing_cycle, l.next_billing_date, l.custom_limits,
    l.current_period_start, l.current_period_end, l.ai_requests_used, l.storage_used_bytes,
    CASE WHEN app_owner_id() IS NULL THEN l.notes END AS notes, l.metadata,
    l.suspension_reason, l.suspended_at, l.cancelled_at, l.created_at, l.updated_at";

/// The tenant in a statement's own WHERE, for `licenses l`; `$1` is the organization, `$2` the owner.
pub const MINE: &str = "($1::uuid IS NULL OR l.organization_id = $1::uuid) AND ($2::uuid IS NULL OR l.owner_id = $2::uuid)";

/// A statement whose first two parameters are the tenant, as [`MINE`] expects.
pub fn mine(tx: &Tx, text: impl Into<String>) -> Query {
    sql(text)
        .bind(tx.scope().organization())
        .bind(tx.scope().owner())
}

/// The fields of a license that rules look at.
#[derive(Debug, Clone, Deserialize)]
pub struct Facts {
    /// Identifier.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// The key; also the name of its object.
    pub license_key: String,
    /// Where it is in its life.
    pub status: Status,
    /// From when it is valid.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
    /// End of the trial.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// How it is billed.
    pub billing_cycle: BillingCycle,
}

/// A license locked for a change: as a whole, and what rules look at.
pub struct Locked {
    /// The row.
    pub row: Raw<License>,
    /// The parts.
    pub facts: Facts,
}

/// Reads one license.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn read(tx: Tx, id: Uuid) -> Result<Raw<License>> {
    let query = mine(
        &tx,
        format!("SELECT {COLUMNS} FROM licenses l WHERE {MINE} AND l.id = $3::uuid"),
    )
    .bind(id);
    tx.only_row(query)
        .await?
        .ok_or_else(|| Code::LicenseNotFound.into())
}

/// Reads what rules look at, within a transaction that goes on.
///
/// # Errors
/// 404 as [`read`].
pub async fn peek(tx: &mut Tx, id: Uuid) -> Result<Facts> {
    find(tx, id, "").await.map(|found| found.facts)
}

/// Reads one license and holds its row until the transaction ends.
///
/// # Errors
/// 404 as [`read`].
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    find(tx, id, "FOR UPDATE").await
}

async fn find(tx: &mut Tx, id: Uuid, locking: &str) -> Result<Locked> {
    let query = mine(
        tx,
        format!("SELECT {COLUMNS} FROM licenses l WHERE {MINE} AND l.id = $3::uuid {locking}"),
    )
    .bind(id);
    let row: Raw<License> = tx
        .row(query)
        .await?
        .ok_or_else(|| Error::new(Code::LicenseNotFound))?;
    let facts = serde_json::from_str(row.text()).map_err(Error::internal)?;
    Ok(Locked { row, facts })
}

/// Locks a license that is to change.
///
/// # Errors
/// As [`lock`], and 409 for a cancelled license.
pub async fn lock_alive(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let locked = lock(tx, id).await?;
    if locked.facts.status == Status::Cancelled {
        return Err(Code::LicenseCancelled.into());
    }
    Ok(locked)
}

/// Sets columns of one license; `assignments` uses parameters from `$4` on, bound by `bind`.
///
/// # Errors
/// 404 as [`read`].
pub async fn set(
    tx: &mut Tx,
    id: Uuid,
    assignments: &str,
    bind: impl FnOnce(Query) -> Query,
) -> Result<Raw<License>> {
    let query = mine(
        tx,
        format!("UPDATE licenses l SET {assignments} WHERE {MINE} AND l.id = $3::uuid RETURNING {COLUMNS}"),
    )
    .bind(id);
    tx.row(bind(query))
        .await?
        .ok_or_else(|| Code::LicenseNotFound.into())
}

/// What the edge needs to know of the given keys, as one JSON object from key to snapshot. Keys without
/// a license are left out.
pub fn snapshots(keys: &Value) -> Query {
    sql("SELECT coalesce(json_object_agg(l.license_key, json_build_object(
           'license', json_build_object(
             'id', l.id, 'organization_id', l.organization_id, 'key', l.license_key, 'status', l.status,
             'starts_at', l.starts_at, 'expires_at', l.expires_at, 'trial_ends_at', l.trial_ends_at,
             'plan', json_build_object('code', p.code, 'name', p.name, 'limits', p.limits, 'features', p.features),
             'product', CASE WHEN pr.id IS NOT NULL THEN json_build_object(
               'id', pr.id, 'code', pr.code, 'name', pr.name, 'status', pr.status,
               'deleted', pr.deleted_at IS NOT NULL) END,
             'custom_limits', l.custom_limits, 'metadata', l.metadata),
           'bindings', (SELECT coalesce(json_agg(json_build_object(
               'id', b.id,
               'ip', CASE WHEN family(b.ip_address) = 6 THEN text(b.ip_address) ELSE host(b.ip_address) END,
               'active', b.is_active)), '[]')
             FROM (
               SELECT * FROM license_ip_bindings WHERE license_id = l.id AND is_active
               UNION ALL
               -- So that the object learns the end of a binding that it made itself.
               (SELECT * FROM license_ip_bindings WHERE license_id = l.id AND NOT is_active
                ORDER BY unbound_at DESC LIMIT 100)) b),
           'settings', json_build_object(
             'collision_threshold', (SELECT value FROM system_config WHERE key = 'license.collision_threshold'),
             'collision_auto_revoke', (SELECT value FROM system_config WHERE key = 'license.collision_auto_revoke')),
           'last_suspension', (SELECT c.id FROM license_collisions c
             WHERE c.license_id = l.id AND c.suspended_license ORDER BY c.detected_at DESC LIMIT 1)
         )), '{}')::text
         FROM licenses l
         JOIN organizations o ON o.id = l.organization_id AND o.deleted_at IS NULL
         JOIN subscription_plans p ON p.id = l.plan_id
         LEFT JOIN products pr ON pr.id = l.product_id
         WHERE l.license_key IN (SELECT value FROM jsonb_array_elements_text($1::jsonb))")
    .bind(keys)
}

/// The columns of [`Binding`], from alias `b`.
pub const BINDING_COLUMNS: &str = "b.id, b.license_id,
    CASE WHEN family(b.ip_address) = 6 THEN text(b.ip_address) ELSE host(b.ip_address) END AS ip_address,
    b.machine_id, b.hostname, b.source, b.is_active, b.first_seen_at, b.last_seen_at, b.unbound_at";

/// Inserts bindings that the license's object made and PostgreSQL may not have yet. Repeats are harmless.
/// The slots were taken by validations, so the audit log names the system, not whoever asks.
pub fn mirror_bindings(license: &Facts, bindings: &Value, request_id: &str) -> Query {
    sql("WITH made AS (
           SELECT * FROM jsonb_to_recordset($3::jsonb) AS b(
             id uuid, ip inet, machine_id text, hostname text, first_seen_at timestamptz)
         ), bound AS (
           INSERT INTO license_ip_bindings (id, license_id, organization_id, ip_address, machine_id, hostname,
             source, first_seen_at, last_seen_at)
           SELECT id, $1::uuid, $2::uuid, ip, machine_id, hostname, 'auto', first_seen_at, first_seen_at FROM made
           ON CONFLICT DO NOTHING
           RETURNING id, license_id, organization_id, ip_address, machine_id, hostname)
         INSERT INTO audit_logs (organization_id, actor_kind, action, event, resource_type, resource_id, request_id, changes)
         SELECT organization_id, 'system', 'create', 'license.ip_bound', 'license', license_id, $4, jsonb_build_object(
           'before', '{}'::jsonb, 'after', jsonb_build_object('id', id, 'ip_address', abbrev(ip_address),
             'machine_id', machine_id, 'hostname', hostname, 'source', 'auto'))
         FROM bound")
    .bind(license.id)
    .bind(license.organization_id)
    .bind(bindings)
    .bind(request_id)
}

/// Takes the slot of an address for a binding made through the API.
///
/// # Errors
/// 409 when the address already has one.
pub async fn insert_binding(
    tx: &mut Tx,
    license: &Facts,
    id: Uuid,
    ip: &str,
    machine_id: Option<&str>,
    hostname: Option<&str>,
) -> Result<Raw<Binding>> {
    let query = sql(format!(
        "INSERT INTO license_ip_bindings AS b (id, license_id, organization_id, ip_address, machine_id, hostname, source)
         VALUES ($1::uuid, $2::uuid, $3::uuid, $4::inet, $5, $6, 'manual')
         ON CONFLICT (license_id, ip_address) WHERE is_active DO NOTHING
         RETURNING {BINDING_COLUMNS}"
    ))
    .bind(id)
    .bind(license.id)
    .bind(license.organization_id)
    .bind(ip)
    .bind(machine_id)
    .bind(hostname);
    tx.row(query)
        .await?
        .ok_or_else(|| Code::IpAlreadyBound.into())
}

/// Frees the slot of an address; `None` when it had none.
///
/// # Errors
/// When the database fails.
pub async fn release_binding(
    tx: &mut Tx,
    license: &Facts,
    ip: &str,
) -> Result<Option<Raw<Binding>>> {
    let query = sql(format!(
        "UPDATE license_ip_bindings b SET is_active = false, unbound_at = now()
         WHERE b.license_id = $1::uuid AND b.organization_id = $2::uuid AND b.ip_address = $3::inet AND b.is_active
         RETURNING {BINDING_COLUMNS}"
    ))
    .bind(license.id)
    .bind(license.organization_id)
    .bind(ip);
    tx.row(query).await
}
