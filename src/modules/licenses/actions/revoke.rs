//! `POST /api/licenses/{id}/revoke` and `…/reactivate`

use crate::db::facts::Action;
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{LicensesRevoke, Permit};
use crate::http::reply::Data;
use crate::modules::licenses::edge;
use crate::modules::licenses::model::{License, Reactivation, Revocation, Status};
use crate::modules::licenses::queries;
use crate::platform::clock;

/// Suspends a license. The next validation, from anywhere, is refused.
pub async fn revoke(
    permit: Permit<LicensesRevoke>,
    Id(id): Id,
    Once(idempotency, Body(body)): Once<Body<Revocation>>,
) -> Result<Data<License>> {
    let mut tx = permit.begin();
    let caller = permit.caller();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let before = queries::lock_alive(&mut tx, id).await?;
    if before.facts.status == Status::Suspended {
        return Err(Code::LicenseStatusConflict.into());
    }
    let after = queries::set(
        &mut tx,
        id,
        "status = 'suspended', suspended_at = now(), suspension_reason = $4",
        |query| query.bind(body.reason.as_deref()),
    )
    .await?;
    let reply = Data::raw(&after);
    idempotency.settle(&mut tx, caller, &reply);
    edge::settle(
        &permit,
        tx,
        &before,
        &after,
        Action::Update,
        "license.revoked",
    )
    .await?;
    Ok(reply)
}

/// Lifts a suspension. The license returns to what it would be without it.
pub async fn reactivate(
    permit: Permit<LicensesRevoke>,
    Id(id): Id,
    Once(idempotency, Body(Reactivation {})): Once<Body<Reactivation>>,
) -> Result<Data<License>> {
    let mut tx = permit.begin();
    let caller = permit.caller();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let before = queries::lock_alive(&mut tx, id).await?;
    if before.facts.status != Status::Suspended {
        return Err(Code::LicenseStatusConflict.into());
    }
    let status = Status::by_dates(
        before.facts.expires_at,
        before.facts.trial_ends_at,
        clock::now(),
    );
    let after = queries::set(
        &mut tx,
        id,
        "status = $4::license_status, suspended_at = NULL, suspension_reason = NULL",
        |query| query.bind(status.as_str()),
    )
    .await?;
    let reply = Data::raw(&after);
    idempotency.settle(&mut tx, caller, &reply);
    edge::settle(
        &permit,
        tx,
        &before,
        &after,
        Action::Update,
        "license.reactivated",
    )
    .await?;
    Ok(reply)
}
