//! `PATCH /api/licenses/{id}`

use super::model::{License, LicenseChanges};
use super::notices;
use super::queries::{self, LICENSE};
use crate::db::{Set, Tx, sql};
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::Data;
use crate::http::types::Patch;
use crate::platform::clock;
use celaest_domain::calendar;
use uuid::Uuid;

/// Changes a license.
pub async fn update(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<LicenseChanges>>,
) -> Outcome<Data<License>> {
    let mut tx = permit.begin_once(key).await?;
    let before = match wanted.keeps_its_worth() {
        true => queries::lock(&mut tx, id).await?,
        false => queries::lock_own(&mut tx, id).await?,
    };
    let life = &before.life;
    let now = clock::now();
    // A trial that becomes a full license ends with a billing cycle, unless it is said when.
    let full_term = match (&wanted.trial_ends_at, &wanted.expires_at) {
        (Patch::Null, Patch::Absent) => {
            let cycle = wanted.billing_cycle.value();
            life.full_term(cycle.copied().unwrap_or(life.billing_cycle), now)?
        }
        _ => None,
    };
    let expires_at = full_term.or(wanted.expires_at.or(life.expires_at, |at| at.0));
    let trial_ends_at = wanted.trial_ends_at.or(life.trial_ends_at, |at| at.0);
    let status = life.redate(expires_at, trial_ends_at, now)?;
    check(&mut tx, before.organization_id, &wanted).await?;
    let set = Set::new()
        .patch("plan_id = {}::uuid", &wanted.plan_id)
        .patch("owner_id = {}::uuid", &wanted.owner_id)
        .patch("billing_cycle = {}::billing_cycle", &wanted.billing_cycle)
        // The day of the next bill goes along, unless it was another one before.
        .patch(
            "expires_at = {}::timestamptz, next_billing_date = CASE
               WHEN l.next_billing_date IS NOT DISTINCT FROM l.expires_at::date THEN {}::timestamptz::date
               ELSE l.next_billing_date END",
            &wanted.expires_at,
        )
        .when(
            "expires_at = {}::timestamptz, next_billing_date = {}::timestamptz::date",
            full_term,
        )
        .when(
            "renewal_day = {}::smallint",
            expires_at
                .filter(|at| life.expires_at != Some(*at))
                .map(|at| calendar::renewal_day(life.starts_at, at)),
        )
        .patch("trial_ends_at = {}::timestamptz", &wanted.trial_ends_at)
        .patch_json("custom_limits = {}::jsonb", &wanted.custom_limits)
        .patch("notes = {}", &wanted.notes)
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata)
        .when(
            "status = {}::license_status",
            (status != life.status).then_some(status.as_str()),
        );
    let after = queries::set(&mut tx, id, set).await?;
    tx.record_change(&LICENSE, "license.updated", &before.row, &after);
    notices::tell(&mut tx, &before.key);
    permit.commit(tx, Data::raw(&after)).await
}

/// What the change refers to must be there.
async fn check(tx: &mut Tx, organization: Uuid, wanted: &LicenseChanges) -> Result<()> {
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
            .bind(organization)
            .bind(plan)
            .bind(owner),
        )
        .await?;
    missing.map_or(Ok(()), |field| Err(Error::field(&field, "does not exist")))
}
