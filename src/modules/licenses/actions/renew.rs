//! `POST /api/licenses/{id}/renew`

use crate::db::facts::Action;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::Data;
use crate::modules::licenses::edge;
use crate::modules::licenses::model::{License, Renewal, Status};
use crate::modules::licenses::queries;
use crate::platform::clock;
use celaest_domain::calendar;

/// Extends a license by calendar months, from its expiry if that is still ahead, else from now. A trial
/// becomes a full license; a suspended one stays suspended.
pub async fn renew(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Once(idempotency, Body(body)): Once<Body<Renewal>>,
) -> Result<Data<License>> {
    let mut tx = permit.begin();
    let caller = permit.caller();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let before = queries::lock_alive(&mut tx, id).await?;
    let license = &before.facts;
    let months = body
        .months
        .or(license.billing_cycle.months())
        .ok_or(Code::LicensePerpetual)?;
    // A trial that has no expiry of its own ends with the trial.
    let expiry = license
        .expires_at
        .or(license.trial_ends_at)
        .ok_or(Code::LicensePerpetual)?;
    let expires_at = calendar::renewed_expiry(Some(expiry), clock::now(), months)
        .ok_or_else(|| Error::field("months", "leads too far away"))?;
    let status = if license.status == Status::Suspended {
        Status::Suspended
    } else {
        Status::Active
    };
    let after = queries::set(
        &mut tx,
        id,
        "expires_at = $4::timestamptz, next_billing_date = $4::timestamptz::date, trial_ends_at = NULL,
         status = $5::license_status",
        |query| query.bind(expires_at).bind(status.as_str()),
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
        "license.renewed",
    )
    .await?;
    Ok(reply)
}
