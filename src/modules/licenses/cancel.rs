//! `DELETE /api/licenses/{id}`

use super::model::Status;
use super::notices;
use super::queries::{self, LICENSE};
use crate::db::Set;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{LicensesDelete, Permit};
use crate::http::reply::NoContent;

/// Cancels a license for good. Cancelling again changes nothing and is no error.
pub async fn cancel(
    permit: Permit<LicensesDelete>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    if before.life.status != Status::Cancelled {
        let set = Set::new().fixed("status = 'cancelled', cancelled_at = now()");
        let after = queries::set(&mut tx, id, set).await?;
        tx.record_ending(&LICENSE, "license.cancelled", &before.row, &after);
        notices::tell_end(&mut tx, &before.key);
    }
    permit.commit(tx, NoContent::done()).await
}
