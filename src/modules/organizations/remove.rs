//! `DELETE /api/organizations/{id}`

use super::queries::{self, ORGANIZATION, mine};
use crate::db::Set;
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{OrganizationsDelete, Permit};
use crate::http::reply::NoContent;
use crate::identity::callers::Whom;

/// Closes an organization: nobody of it signs in any more, and its licenses are no longer valid.
pub async fn remove(
    permit: Permit<OrganizationsDelete>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    // Nobody locks themselves out.
    if permit.principal.organization_id == Some(id) {
        return Err(Code::OwnAccount.into());
    }
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new().fixed("deleted_at = now()");
    let closing = mine(&tx).id(id).set(set, "o.id");
    tx.finally(closing);
    tx.record_end(&ORGANIZATION, "organization.deleted", &before);
    permit
        .forget_callers(&mut tx, Whom::Organization(id))
        .await?;
    permit.commit(tx, NoContent::done()).await
}
