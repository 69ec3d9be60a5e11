//! `POST /api/users`

use super::invitation::Token;
use super::model::{Invitation, User};
use super::queries::{self, COLUMNS, USER, mine as people};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::{Claim, Once};
use crate::http::permit::{Access, Permit, UsersWrite};
use crate::http::reply::Created;
use crate::modules::organizations::queries::mine;
use celaest_domain::contact::is_locale;
use celaest_domain::email::normalised;
use celaest_domain::membership::has_room;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// What the invitation depends on of the organization.
#[derive(Deserialize)]
struct Host {
    name: String,
    max_users: i64,
    locale: Option<String>,
    timezone: Option<String>,
}

const HOST: &str =
    "o.name, o.max_users, o.settings->>'locale' AS locale, o.settings->>'timezone' AS timezone";

/// Invites a person.
pub async fn create(
    permit: Permit<UsersWrite>,
    Once(key, Body(new)): Once<Body<Invitation>>,
) -> Outcome<Created<User>> {
    let organization = permit.organization(new.organization_id)?;
    let missing = Error::field("organization_id", "does not exist");
    invite(&permit, key, organization, &new, missing).await
}

/// Invites a person into an organization; `missing` is the answer when there is none.
///
/// # Errors
/// 403 for a role or scope that the caller does not hold, 409 when the organization is full or somebody of
/// it has the address.
pub async fn invite(
    access: &Access,
    key: Claim,
    organization: Uuid,
    new: &Invitation,
    missing: Error,
) -> Outcome<Created<User>> {
    let powers = access.principal.powers();
    powers.gives(new.role.into(), &new.scopes, &[])?;
    let email =
        normalised(&new.email).ok_or_else(|| Error::field("email", "is not an e-mail address"))?;
    let token = Token::draw()?;
    let mut tx = access.begin_once(key).await?;
    // Its people are counted one invitation after the other.
    let query = mine(&tx).id(organization).lock(HOST);
    let host: Option<Host> = tx.row(query).await?;
    let host = host.ok_or(missing)?;
    if let Some(name) = &new.timezone {
        queries::check_timezone(&mut tx, "timezone", name).await?;
    }
    // A statement after the lock's own, so that it sees what whoever held it before has done.
    let people = people(&tx)
        .when("u.organization_id = {}::uuid", Some(organization))
        .count();
    if !has_room(host.max_users, tx.value(people).await?) {
        return Err(Code::UserLimitReached.into());
    }
    let locale = host.locale.as_deref().filter(|locale| is_locale(locale));
    let timezone = host.timezone.as_deref();
    let set = Set::new()
        .to("id = {}::uuid", Uuid::new_v4())
        .to("organization_id = {}::uuid", organization)
        .to("email = {}", &email)
        .to("first_name = {}", new.first_name.as_deref())
        .to("last_name = {}", new.last_name.as_deref())
        .to("role = {}::user_role", new.role.as_str())
        .to("scopes = {}::jsonb", json!(new.scopes))
        .when("locale = {}", new.locale.as_deref().or(locale))
        .when("timezone = {}", new.timezone.as_deref().or(timezone))
        .to("invited_by = {}::uuid", access.principal.user_id)
        .fixed("invited_at = now()");
    let query = token
        .kept(set)
        .insert("users_profile", "u", COLUMNS)
        .on("idx_users_profile_organization_email", Code::EmailTaken);
    let user: Raw<User> = tx.one(query, Code::Internal).await?;
    tx.record_new(&USER, "user.invited", &user);
    token
        .post(access, &mut tx, &user.tree(), &host.name)
        .await?;
    access.commit(tx, Created::raw(&user)).await
}
