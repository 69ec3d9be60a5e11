//! `DELETE /api/licenses/{id}`

use super::edge;
use super::model::Status;
use super::queries;
use crate::db::facts::Action;
use crate::error::Result;
use crate::http::params::{Id, NoQuery};
use crate::http::permit::{LicensesDelete, Permit};
use crate::http::reply::NoContent;

/// Cancels a license for good. Cancelling again changes nothing and is no error.
pub async fn cancel(permit: Permit<LicensesDelete>, Id(id): Id, _: NoQuery) -> Result<NoContent> {
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx, id).await?;
    if before.facts.status != Status::Cancelled {
        let after = queries::set(
            &mut tx,
            id,
            "status = 'cancelled', cancelled_at = now()",
            |query| query,
        )
        .await?;
        edge::settle(
            &permit,
            tx,
            &before,
            &after,
            Action::Delete,
            "license.cancelled",
        )
        .await?;
    }
    Ok(NoContent)
}
