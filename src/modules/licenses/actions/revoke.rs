//! `POST /api/licenses/{id}/revoke` and `…/reactivate`

use crate::db::Set;
use crate::error::Error;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{LicensesRevoke, Permit};
use crate::http::reply::Data;
use crate::modules::licenses::model::{License, Reactivation, Revocation};
use crate::modules::licenses::notices;
use crate::modules::licenses::queries::{self, LICENSE};
use crate::modules::licenses::{slots, sold};
use crate::platform::clock;

/// Suspends a license. The next validation, from anywhere, is refused.
pub async fn revoke(
    permit: Permit<LicensesRevoke>,
    Id(id): Id,
    Once(key, Body(body)): Once<Body<Revocation>>,
) -> Outcome<Data<License>> {
    if body.reason.as_deref().is_some_and(sold::is_reserved) {
        let problem = "is what a suspension by a payment, a seller or the system says";
        return Err(Error::field("reason", problem).into());
    }
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let status = before.life.suspend()?;
    let set = Set::new()
        .to("status = {}::license_status", status.as_str())
        .fixed("suspended_at = now()")
        .to("suspension_reason = {}", body.reason.as_deref());
    let after = queries::set(&mut tx, id, set).await?;
    tx.record_change(&LICENSE, "license.revoked", &before.row, &after);
    notices::tell(&mut tx, &before.key);
    permit.commit(tx, Data::raw(&after)).await
}

/// Lifts a suspension. The license returns to what it would be without it, at the edge as well, whatever
/// its object believes.
pub async fn reactivate(
    permit: Permit<LicensesRevoke>,
    Id(id): Id,
    Once(key, Body(Reactivation {})): Once<Body<Reactivation>>,
) -> Outcome<Data<License>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock_own(&mut tx, id).await?;
    let (life, was) = slots::at_edge(&permit.call, &before).await?;
    let status = life.reactivate(clock::now())?;
    let set = Set::new()
        .to("status = {}::license_status", status.as_str())
        .fixed(
            "suspended_at = NULL, suspension_reason = NULL, reactivations = l.reactivations + 1",
        );
    let after = queries::set(&mut tx, id, set).await?;
    tx.record_between(&LICENSE, "license.reactivated", &was, &after.tree());
    notices::tell(&mut tx, &before.key);
    permit.commit(tx, Data::raw(&after)).await
}
