//! `DELETE /api/releases/{id}`

use super::model::Release;
use super::queries::{self, COLUMNS, RELEASE, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, ReleasesWrite};
use crate::http::reply::NoContent;
use celaest_domain::market::release::Status;

/// Deletes a draft. What was published is taken back instead: somebody may have it.
pub async fn delete(
    permit: Permit<ReleasesWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    if before.facts.status != Status::Draft {
        return Err(Code::ReleaseStatusConflict.into());
    }
    let query = mine(&tx)
        .id(id)
        .set(Set::new().fixed("deleted_at = now()"), COLUMNS);
    let _: Raw<Release> = tx.one(query, Code::ReleaseNotFound).await?;
    tx.record_end(&RELEASE, "release.deleted", &before.row);
    permit.commit(tx, NoContent::done()).await
}
