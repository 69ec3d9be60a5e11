//! `PATCH /api/licenses/{id}`

use super::edge;
use super::model::{License, LicenseChanges, Status};
use super::queries::{self, Facts};
use crate::db::facts::Action;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::Data;
use crate::http::types::{Moment, Patch};
use crate::platform::clock;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// Changes a license.
pub async fn update(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Body(wanted): Body<LicenseChanges>,
) -> Result<Data<License>> {
    let mut tx = permit.begin();
    let before = queries::lock_alive(&mut tx, id).await?;
    check(&mut tx, &before.facts, &wanted).await?;
    let patch = patch(&before.facts, &wanted);
    let after = queries::set(
        &mut tx,
        id,
        "plan_id = coalesce(($4::jsonb->>'plan_id')::uuid, l.plan_id),
         owner_id = CASE WHEN $4::jsonb ? 'owner_id' THEN ($4::jsonb->>'owner_id')::uuid ELSE l.owner_id END,
         billing_cycle = coalesce(($4::jsonb->>'billing_cycle')::billing_cycle, l.billing_cycle),
         status = coalesce(($4::jsonb->>'status')::license_status, l.status),
         expires_at = CASE WHEN $4::jsonb ? 'expires_at' THEN ($4::jsonb->>'expires_at')::timestamptz ELSE l.expires_at END,
         trial_ends_at = CASE WHEN $4::jsonb ? 'trial_ends_at' THEN ($4::jsonb->>'trial_ends_at')::timestamptz ELSE l.trial_ends_at END,
         custom_limits = CASE WHEN $4::jsonb ? 'custom_limits' THEN nullif($4::jsonb->'custom_limits', 'null') ELSE l.custom_limits END,
         notes = CASE WHEN $4::jsonb ? 'notes' THEN $4::jsonb->>'notes' ELSE l.notes END,
         metadata = CASE WHEN $4::jsonb ? 'metadata' THEN $4::jsonb->'metadata' ELSE l.metadata END",
        |query| query.bind(Value::Object(patch)),
    )
    .await?;
    edge::settle(
        &permit,
        tx,
        &before,
        &after,
        Action::Update,
        "license.updated",
    )
    .await?;
    Ok(Data::raw(&after))
}

/// What the change refers to must be there, and the dates must stay in order.
async fn check(tx: &mut Tx, license: &Facts, wanted: &LicenseChanges) -> Result<()> {
    if let Patch::Value(at) = &wanted.expires_at
        && at.0 <= license.starts_at
    {
        return Err(Error::field("expires_at", "must be after starts_at"));
    }
    if let Patch::Value(at) = &wanted.trial_ends_at
        && at.0 <= license.starts_at
    {
        return Err(Error::field("trial_ends_at", "must be after starts_at"));
    }
    if wanted.trial_ends_at.value().is_some() && license.trial_ends_at.is_none() {
        return Err(Error::field("trial_ends_at", "can only be set for a trial"));
    }
    if wanted.plan_id == Patch::Null {
        return Err(Error::field("plan_id", "cannot be cleared"));
    }
    if wanted.billing_cycle == Patch::Null {
        return Err(Error::field("billing_cycle", "cannot be cleared"));
    }
    let (plan, owner) = (wanted.plan_id.value(), wanted.owner_id.value());
    if plan.is_none() && owner.is_none() {
        return Ok(());
    }
    let missing: Option<String> = tx
        .value(
            sql("SELECT to_json(CASE
                   WHEN $2 IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM subscription_plans WHERE id = $2::uuid AND is_active) THEN 'plan_id'
                   WHEN $3 IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM users_profile WHERE id = $3::uuid AND organization_id = $1::uuid
                       AND deleted_at IS NULL) THEN 'owner_id'
                 END)::text")
            .bind(license.organization_id)
            .bind(plan)
            .bind(owner),
        )
        .await?;
    missing.map_or(Ok(()), |field| Err(Error::field(&field, "does not exist")))
}

/// The columns that change, as the statement reads them.
fn patch(license: &Facts, wanted: &LicenseChanges) -> Map<String, Value> {
    let mut patch = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            patch.insert(name.into(), value);
        }
    };
    put("plan_id", column(&wanted.plan_id));
    put("owner_id", column(&wanted.owner_id));
    put("billing_cycle", column(&wanted.billing_cycle));
    put("expires_at", column(&wanted.expires_at));
    put("trial_ends_at", column(&wanted.trial_ends_at));
    put("custom_limits", column(&wanted.custom_limits));
    put("notes", column(&wanted.notes));
    put(
        "metadata",
        match &wanted.metadata {
            Patch::Null => Some(json!({})),
            other => column(other),
        },
    );
    // New dates can bring an expired license back, and end a trial.
    if wanted.expires_at.is_present() || wanted.trial_ends_at.is_present() {
        let expires_at = dated(&wanted.expires_at, license.expires_at);
        let trial_ends_at = dated(&wanted.trial_ends_at, license.trial_ends_at);
        let status = Status::by_dates(expires_at, trial_ends_at, clock::now());
        if matches!(license.status, Status::Trial | Status::Expired) && status != Status::Expired {
            put("status", Some(json!(status)));
        }
    }
    patch
}

/// The date after the change.
fn dated(patch: &Patch<Moment>, current: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match patch {
        Patch::Absent => current,
        Patch::Null => None,
        Patch::Value(at) => Some(at.0),
    }
}

fn column<T: serde::Serialize>(patch: &Patch<T>) -> Option<Value> {
    match patch {
        Patch::Absent => None,
        Patch::Null => Some(Value::Null),
        Patch::Value(value) => Some(json!(value)),
    }
}
