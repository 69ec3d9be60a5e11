//! `/api/organizations/{id}/members`: the people of an organization, as `/api/users` sees them.

use super::queries;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Ids, NoQuery, Query};
use crate::http::permit::{Access, Permit, UsersRead, UsersWrite};
use crate::http::reply::{Created, Data, Listing, NoContent};
use crate::modules::users::model::{Invitation, MemberChanges, User, UserChanges};
use crate::modules::users::{invite, list, remove, update};
use uuid::Uuid;

/// Lists the people of an organization.
pub async fn members(
    permit: Permit<UsersRead>,
    Id(id): Id,
    Query(filters): Query<list::Filters>,
) -> Result<Listing<User>> {
    let mut tx = permit.begin();
    queries::check(&mut tx, id).await?;
    list::people(tx, Some(id), &filters).await
}

/// Invites a person into an organization.
pub async fn invite(
    permit: Permit<UsersWrite>,
    Id(id): Id,
    Once(idempotency, Body(new)): Once<Body<Invitation>>,
) -> Result<Created<User>> {
    reach(&permit, id)?;
    if new.organization_id.is_some_and(|named| named != id) {
        return Err(Error::field("organization_id", "is not that of the path"));
    }
    let missing = Code::OrganizationNotFound.into();
    invite::invite(&permit, &idempotency, id, &new, missing).await
}

/// Changes the role and the scopes of a person of an organization.
pub async fn update(
    permit: Permit<UsersWrite>,
    Ids(id, person): Ids,
    Body(wanted): Body<MemberChanges>,
) -> Result<Data<User>> {
    reach(&permit, id)?;
    let wanted = UserChanges {
        role: wanted.role,
        scopes: wanted.scopes,
        ..UserChanges::default()
    };
    update::change(&permit, person, Some(id), wanted).await
}

/// Removes a person of an organization.
pub async fn remove(
    permit: Permit<UsersWrite>,
    Ids(id, person): Ids,
    _: NoQuery,
) -> Result<NoContent> {
    reach(&permit, id)?;
    remove::take_out(&permit, person, Some(id)).await
}

/// Another tenant's organization is as good as none.
fn reach(access: &Access, id: Uuid) -> Result<()> {
    match access.scope().organization() {
        Some(own) if own != id => Err(Code::OrganizationNotFound.into()),
        _ => Ok(()),
    }
}
