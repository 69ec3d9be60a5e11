//! The SQL of licensing.

use super::model::{Binding, License, NewBinding};
use crate::db::facts::{Action, Fact, Subject};
use crate::db::{Query, Raw, Rows, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use celaest_domain::address::Address;
use celaest_domain::json;
use celaest_domain::license::Life;
use celaest_durable::license::Wanted;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// The columns of [`License`], from table or alias `l`. Clients do not see the internal notes.
pub const COLUMNS: &str =
    "l.id, l.organization_id, l.owner_id, l.plan_id, l.product_id, l.license_key, l.status,
    l.starts_at, l.expires_at, l.trial_ends_at, l.billing_cycle, l.next_billing_date, l.renewal_day,
    l.custom_limits,
    l.current_period_start, l.current_period_end, l.ai_requests_used, l.storage_used_bytes,
    CASE WHEN app_owner_id() IS NULL THEN l.notes END AS notes, l.metadata,
    l.suspension_reason, l.suspended_at, l.cancelled_at, l.created_at, l.updated_at";

/// What the log and the outside learn of a license: the outside not the vendor's internal notes.
pub const LICENSE: Subject = Subject {
    kind: "license",
    tenant: "organization_id",
    secret: &["license_key"],
    told: Some(|license| {
        let mut license = license.clone();
        if let Some(fields) = license.as_object_mut() {
            fields.remove("notes");
        }
        json!({ "license": license })
    }),
};

/// What the log learns of an address.
const ADDRESS: Subject = Subject {
    kind: "license",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The caller's licenses.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("licenses", "l")
        .when("l.organization_id = {}::uuid", tx.scope().organization())
        .when("l.owner_id = {}::uuid", tx.scope().owner())
}

/// A license with what rules look at.
pub struct Locked {
    /// The row.
    pub row: Raw<License>,
    /// Identifier.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// The key; also the name of its object.
    pub key: String,
    /// What may become of it.
    pub life: Life,
}

/// The parts of [`Locked`] in the row.
#[derive(Deserialize)]
struct Parts {
    id: Uuid,
    organization_id: Uuid,
    license_key: String,
    #[serde(flatten)]
    life: Life,
}

impl Locked {
    fn of(row: Raw<License>) -> Result<Self> {
        let parts: Parts = json::read(row.text()).map_err(Error::internal)?;
        Ok(Self {
            row,
            id: parts.id,
            organization_id: parts.organization_id,
            key: parts.license_key,
            life: parts.life,
        })
    }

    /// Rows of a table of what belongs to a license.
    pub fn owns(&self, table: &'static str, alias: &'static str) -> Rows {
        Rows::of(table, alias)
            .when(format!("{alias}.license_id = {{}}::uuid"), Some(self.id))
            .when(
                format!("{alias}.organization_id = {{}}::uuid"),
                Some(self.organization_id),
            )
    }

    /// Something that happened to the license's addresses, without a change of its own row.
    pub fn beside(&self, event: &'static str, before: &Value, after: &Value) -> Fact {
        Fact {
            organization_id: Some(self.organization_id),
            action: match after {
                Value::Null => Action::Delete,
                _ => Action::Create,
            },
            event,
            resource_type: LICENSE.kind,
            resource_id: self.id,
            changes: ADDRESS.changes(before, after),
            payload: Some(json!({ "license": { "id": self.id, "license_key": self.key } })),
        }
    }
}

/// Reads one license.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn read(tx: Tx, id: Uuid) -> Result<Raw<License>> {
    let query = mine(&tx).id(id).read(COLUMNS);
    tx.only_one(query, Code::LicenseNotFound).await
}

/// Reads what rules look at, within a transaction that goes on.
///
/// # Errors
/// 404 as [`read`].
pub async fn peek(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).read(COLUMNS);
    Locked::of(tx.one(query, Code::LicenseNotFound).await?)
}

/// Reads one license and holds its row until the transaction ends.
///
/// # Errors
/// 404 as [`read`].
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).lock(COLUMNS);
    Locked::of(tx.one(query, Code::LicenseNotFound).await?)
}

/// [`lock`] for what decides how much a license is worth: of one that came from an order only the system changes
/// that, and whoever bought it does not.
///
/// # Errors
/// As [`lock`]; 409 for a license that was bought from somebody else.
pub async fn lock_own(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let locked = lock(tx, id).await?;
    if let Some(organization) = tx.scope().organization() {
        let bought: bool = tx
            .value(
                sql("SELECT to_json(EXISTS (
                       SELECT FROM order_grants g JOIN orders o ON o.id = g.order_id
                       WHERE g.license_id = $1::uuid AND g.organization_id = $2::uuid
                         AND o.seller_id IS DISTINCT FROM o.organization_id))::text")
                .bind(id)
                .bind(organization),
            )
            .await?;
        if bought {
            return Err(Code::LicenseBought.into());
        }
    }
    Ok(locked)
}

/// Changes one license.
///
/// # Errors
/// 404 as [`read`].
pub async fn set(tx: &mut Tx, id: Uuid, set: Set) -> Result<Raw<License>> {
    let query = mine(tx).id(id).set(set, COLUMNS);
    tx.one(query, Code::LicenseNotFound).await
}

/// An address that somebody wrote.
///
/// # Errors
/// 422 for the field `ip_address`.
pub fn address(text: &str) -> Result<Address> {
    Address::parse(text).ok_or_else(|| Error::field("ip_address", "is not an IP address"))
}

/// What was read for the edge, by key: each a [`celaest_durable::license::Found`].
pub type Snapshots = HashMap<String, Box<RawValue>>;

/// What the edge needs to know of the given keys, as [`Snapshots`]. Keys without a license are left out.
pub fn snapshots<'a>(wanted: impl IntoIterator<Item = (&'a str, &'a Wanted)>) -> Query {
    let wanted = wanted.into_iter();
    let wanted: Vec<_> = wanted
        .map(|(key, wanted)| json!({ "key": key, "waiting": wanted.waiting }))
        .collect();
    sql("WITH wanted AS (
           SELECT key, jsonb_agg(DISTINCT id) FILTER (WHERE id IS NOT NULL) AS waiting
           FROM jsonb_to_recordset($1::jsonb) AS w(key text, waiting jsonb)
           LEFT JOIN LATERAL jsonb_array_elements_text(w.waiting) AS t(id) ON true GROUP BY key)
         SELECT coalesce(json_object_agg(l.license_key, json_build_object(
           'snapshot', json_build_object(
             'license', json_build_object(
               'id', l.id, 'organization_id', l.organization_id, 'owner_id', l.owner_id, 'key', l.license_key, 'status', l.status,
               'starts_at', l.starts_at, 'expires_at', l.expires_at, 'trial_ends_at', l.trial_ends_at,
               'plan', json_build_object('code', p.code, 'name', p.name, 'limits', p.limits, 'features', p.features),
               'product', CASE WHEN pr.id IS NOT NULL THEN json_build_object(
                 'id', pr.id, 'code', pr.code, 'name', pr.name, 'status', pr.status,
                 'deleted', pr.deleted_at IS NOT NULL) END,
               'custom_limits', l.custom_limits, 'metadata', l.metadata),
             'settings', json_build_object(
               'collision_threshold', (SELECT value FROM system_config WHERE key = 'license.collision_threshold'),
               'collision_auto_revoke', (SELECT value FROM system_config WHERE key = 'license.collision_auto_revoke'),
               'address_source', (SELECT value FROM system_config WHERE key = 'license.address_source')),
             'last_suspension', (SELECT c.id FROM license_collisions c
               WHERE c.license_id = l.id AND c.suspended_license ORDER BY c.detected_at DESC LIMIT 1),
             'reactivations', l.reactivations),
           'bindings', (SELECT coalesce(json_object_agg(
               CASE WHEN family(b.ip_address) = 6 THEN text(b.ip_address) ELSE host(b.ip_address) END, b.id), '{}')
             FROM license_ip_bindings b WHERE b.license_id = l.id AND b.is_active),
           'usage', json_build_object(
             'from', coalesce(l.current_period_start, l.starts_at), 'until', l.current_period_end,
             'starts_at', l.starts_at, 'requests', l.ai_requests_used,
             'cost_micro', round(l.ai_cost_used * 1000000)::bigint,
             'keys', (SELECT coalesce(json_object_agg(s.api_key_id, round(s.cost_usd * 1000000)::bigint), '{}')
               FROM license_key_spending s
               WHERE s.license_id = l.id AND s.period_start = coalesce(l.current_period_start, l.starts_at))),
           -- So that the object can tell what has ended from what has not arrived.
           'settled', (SELECT coalesce(json_agg(there.id), '[]')
             FROM jsonb_array_elements_text(w.waiting) AS t(id)
             JOIN LATERAL (
               SELECT b.id FROM license_ip_bindings b WHERE b.id = t.id::uuid
               UNION ALL SELECT c.id FROM license_collisions c WHERE c.id = t.id::uuid
               UNION ALL SELECT u.call_id FROM license_usage_log u WHERE u.call_id = t.id::uuid) there ON true)
         )), '{}')::text
         FROM wanted w
         JOIN licenses l ON l.license_key = w.key AND l.license_key = ANY (ARRAY(SELECT key FROM wanted))
         JOIN organizations o ON o.id = l.organization_id AND o.deleted_at IS NULL
         JOIN subscription_plans p ON p.id = l.plan_id
         LEFT JOIN products pr ON pr.id = l.product_id")
    .bind(json!(wanted))
}

/// The columns of [`Binding`], from alias `b`.
pub const BINDING_COLUMNS: &str = "b.id, b.license_id,
    CASE WHEN family(b.ip_address) = 6 THEN text(b.ip_address) ELSE host(b.ip_address) END AS ip_address,
    b.machine_id, b.hostname, b.source, b.is_active, b.first_seen_at, b.last_seen_at, b.unbound_at";

/// Inserts bindings that the license's object made and PostgreSQL may not have yet. Repeats are harmless.
/// The slots were taken by validations, so the audit log names the system, not whoever asks.
pub fn mirror_bindings(license: &Locked, bindings: &Value, request_id: &str) -> Query {
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
    license: &Locked,
    address: &Address,
    new: &NewBinding,
) -> Result<Raw<Binding>> {
    let query = sql(format!(
        "INSERT INTO license_ip_bindings AS b (license_id, organization_id, ip_address, machine_id, hostname, source)
         VALUES ($1::uuid, $2::uuid, $3::inet, $4, $5, 'manual')
         ON CONFLICT (license_id, ip_address) WHERE is_active DO NOTHING
         RETURNING {BINDING_COLUMNS}"
    ))
    .bind(license.id)
    .bind(license.organization_id)
    .bind(address.key().to_string())
    .bind(new.machine_id.as_deref())
    .bind(new.hostname.as_deref());
    tx.one(query, Code::IpAlreadyBound).await
}

/// Frees the slot of an address.
///
/// # Errors
/// 404 when it has none.
pub async fn release_binding(
    tx: &mut Tx,
    license: &Locked,
    address: &Address,
) -> Result<Raw<Binding>> {
    let held = license
        .owns("license_ip_bindings", "b")
        .when("b.ip_address = {}::inet", Some(address.key().to_string()))
        .only("b.is_active");
    let set = Set::new().fixed("is_active = false, unbound_at = now()");
    let query = held.set(set, BINDING_COLUMNS);
    tx.one(query, Code::IpNotBound).await
}
