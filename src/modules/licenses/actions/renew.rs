//! `POST /api/licenses/{id}/renew`

use crate::db::Set;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::Data;
use crate::modules::licenses::model::{License, Renewal};
use crate::modules::licenses::notices;
use crate::modules::licenses::queries::{self, LICENSE};
use crate::platform::clock;

/// Extends a license by calendar months.
pub async fn renew(
    permit: Permit<LicensesWrite>,
    Id(id): Id,
    Once(key, Body(body)): Once<Body<Renewal>>,
) -> Outcome<Data<License>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock_own(&mut tx, id).await?;
    let renewed = before.life.renew(body.months, clock::now())?;
    let set = Set::new()
        .to(
            "expires_at = {}::timestamptz, next_billing_date = {}::timestamptz::date",
            renewed.expires_at,
        )
        .to("renewal_day = {}::smallint", renewed.renewal_day)
        .to("status = {}::license_status", renewed.status.as_str())
        .fixed("trial_ends_at = NULL");
    let after = queries::set(&mut tx, id, set).await?;
    tx.record_change(&LICENSE, "license.renewed", &before.row, &after);
    notices::tell(&mut tx, &before.key);
    permit.commit(tx, Data::raw(&after)).await
}
