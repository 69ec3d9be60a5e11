//! `/api/organizations/{id}/members`: the people of an organization, as `/api/users` sees them.

use super::queries::mine;
use crate::db::Listing;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::{Id, Ids, Paged};
use crate::http::permit::{Access, Permit, UsersRead, UsersWrite};
use crate::http::reply::{Created, Data, NoContent};
use crate::modules::users::model::{Invitation, MemberChanges, User, UserChanges};
use crate::modules::users::{invite, list, queries, remove, update};
use uuid::Uuid;

/// Lists the people of an organization.
pub async fn members(
    permit: Permit<UsersRead>,
    Id(id): Id,
    Paged(f, page): Paged<list::Filters>,
) -> Result<Listing<User>> {
    let tx = permit.begin();
    let people = queries::mine(&tx).within(
        mine(&tx).id(id),
        "u.organization_id",
        Code::OrganizationNotFound,
    );
    list::some(tx, people, f, &page).await
}

/// Invites a person into an organization.
pub async fn invite(
    permit: Permit<UsersWrite>,
    Id(id): Id,
    Once(key, Body(new)): Once<Body<Invitation>>,
) -> Outcome<Created<User>> {
    reach(&permit, id)?;
    if new.organization_id.is_some_and(|named| named != id) {
        return Err(Error::field("organization_id", "is not that of the path").into());
    }
    let missing = Code::OrganizationNotFound.into();
    invite::invite(&permit, key, id, &new, missing).await
}

/// Changes the role and the scopes of a person of an organization.
pub async fn update(
    permit: Permit<UsersWrite>,
    Ids(id, person): Ids,
    Once(key, Body(wanted)): Once<Body<MemberChanges>>,
) -> Outcome<Data<User>> {
    reach(&permit, id)?;
    let wanted = UserChanges {
        role: wanted.role,
        scopes: wanted.scopes,
        ..UserChanges::default()
    };
    update::change(&permit, key, person, Some(id), wanted).await
}

/// Removes a person of an organization.
pub async fn remove(
    permit: Permit<UsersWrite>,
    Ids(id, person): Ids,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    reach(&permit, id)?;
    remove::take_out(&permit, key, person, Some(id)).await
}

/// Another tenant's organization is as good as none.
fn reach(access: &Access, id: Uuid) -> Result<()> {
    match access.scope().organization() {
        Some(own) if own != id => Err(Code::OrganizationNotFound.into()),
        _ => Ok(()),
    }
}
