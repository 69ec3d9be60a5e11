//! `DELETE /api/users/{id}`

use super::api_keys::queries::{API_KEY, end_with};
use super::queries::{self, COLUMNS, USER, mine};
use crate::db::{Raw, Rows, Set};
use crate::error::{Code, Error, Result};
use crate::http::change::{Change, Outcome};
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
    end(access, &mut tx, id).await?;
    access.commit(tx, NoContent::done()).await
}

/// Ends a person whose row is held, their sign-ins, their API keys and what was made with those.
///
/// # Errors
/// When the database fails.
pub async fn end(access: &Access, tx: &mut Change, id: Uuid) -> Result<()> {
    access.forget_callers(tx, Whom::Person(id)).await?;
    let removal = mine(tx)
        .id(id)
        .set(Set::new().fixed("deleted_at = now()"), COLUMNS);
    let user: Raw<User> = tx.one(removal, Code::UserNotFound).await?;
    let sessions = Rows::of("user_sessions", "t")
        .when("t.organization_id = {}::uuid", tx.scope().organization())
        .when("t.user_id = {}::uuid", Some(id))
        .only("t.is_active")
        .set(Set::new().fixed("is_active = false, ended_at = now()"), "1");
    tx.finally(sessions);
    for key in end_with(access, tx, "k.user_id", id).await? {
        // The person's own end with them, without a word of their own.
        if key.tree()["user_id"] != id.to_string() {
            tx.record_end(&API_KEY, "api_key.deleted", &key);
        }
    }
    tx.record_end(&USER, "user.removed", &user);
    Ok(())
}
