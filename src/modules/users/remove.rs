//! `DELETE /api/users/{id}`

use super::queries::{self, COLUMNS, USER, mine};
use crate::db::{Raw, Rows, Set, Tx};
use crate::error::{Code, Error};
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::{Claim, Once};
use crate::http::params::Id;
use crate::http::permit::{Access, Permit, UsersWrite};
use crate::http::reply::NoContent;
use crate::identity::callers::Whom;
use crate::modules::users::model::User;
use celaest_domain::membership::Wish;
use uuid::Uuid;

/// Removes a person: their sign-ins and API keys end with it, their address is free again.
pub async fn remove(
    permit: Permit<UsersWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    take_out(&permit, key, id, None).await
}

/// Removes a person, of one organization if it is given.
///
/// # Errors
/// 404 when they are not in the caller's reach; 403 and 409 as the rules of membership say.
pub async fn take_out(
    access: &Access,
    key: Claim,
    id: Uuid,
    organization: Option<Uuid>,
) -> Outcome<NoContent> {
    let mut tx = access.begin_once(key).await?;
    let before = queries::lock_member(&mut tx, id).await?;
    if organization.is_some() && organization != before.facts.organization_id {
        return Err(Error::new(Code::UserNotFound).into());
    }
    before.facts.allow(access, Wish::Remove)?;
    access.forget_callers(&mut tx, Whom::Person(id)).await?;
    let removal = mine(&tx)
        .id(id)
        .set(Set::new().fixed("deleted_at = now()"), COLUMNS);
    let user: Raw<User> = tx.one(removal, Code::UserNotFound).await?;
    for end in [
        of(&tx, "user_sessions", id)
            .only("t.is_active")
            .set(Set::new().fixed("is_active = false, ended_at = now()"), "1"),
        of(&tx, "user_api_keys", id)
            .only("t.revoked_at IS NULL")
            .set(
                Set::new().fixed("is_active = false, revoked_at = now()"),
                "1",
            ),
    ] {
        tx.finally(end);
    }
    tx.record_end(&USER, "user.removed", &user);
    access.commit(tx, NoContent::done()).await
}

/// What belongs to a person.
fn of(tx: &Tx, table: &'static str, person: Uuid) -> Rows {
    Rows::of(table, "t")
        .when("t.organization_id = {}::uuid", tx.scope().organization())
        .when("t.user_id = {}::uuid", Some(person))
}
