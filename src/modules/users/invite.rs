//! `POST /api/users`

use super::model::{Invitation, User};
use super::queries::{self, COLUMNS, USER};
use crate::db::facts::Mail;
use crate::db::{Raw, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::{Claim, Once};
use crate::http::permit::{Access, Permit, UsersWrite};
use crate::http::reply::Created;
use crate::modules::organizations::queries::mine;
use celaest_domain::contact::is_locale;
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

/// What it depends on besides.
#[derive(Deserialize)]
struct Surroundings {
    people: i64,
    inviter: Option<String>,
}

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
/// 403 for a role or scope that the caller does not hold, 409 when the organization is full or somebody
/// has the address.
pub async fn invite(
    access: &Access,
    key: Claim,
    organization: Uuid,
    new: &Invitation,
    missing: Error,
) -> Outcome<Created<User>> {
    let powers = access.principal.powers();
    powers.gives(new.role.into(), &new.scopes, &[])?;
    let inviter = access.principal.user_id;
    let mut tx = access.begin_once(key).await?;
    // Its people are counted one invitation after the other.
    let query = mine(&tx).id(organization).lock(HOST);
    let host: Option<Host> = tx.row(query).await?;
    let host = host.ok_or(missing)?;
    if let Some(name) = &new.timezone {
        queries::check_timezone(&mut tx, "timezone", name).await?;
    }
    let around = surroundings(&mut tx, organization, inviter).await?;
    if !has_room(host.max_users, around.people) {
        return Err(Code::UserLimitReached.into());
    }
    let locale = host.locale.as_deref().filter(|locale| is_locale(locale));
    let timezone = host.timezone.as_deref();
    let set = Set::new()
        .to("id = {}::uuid", Uuid::new_v4())
        .to("organization_id = {}::uuid", organization)
        .to("email = {}", &new.email)
        .to("first_name = {}", new.first_name.as_deref())
        .to("last_name = {}", new.last_name.as_deref())
        .to("role = {}::user_role", new.role.as_str())
        .to("scopes = {}::jsonb", json!(new.scopes))
        .when("locale = {}", new.locale.as_deref().or(locale))
        .when("timezone = {}", new.timezone.as_deref().or(timezone))
        .to("invited_by = {}::uuid", inviter)
        .fixed("invited_at = now()");
    let query = set
        .insert("users_profile", "u", COLUMNS)
        .on("idx_users_profile_email", Code::EmailTaken);
    let user: Raw<User> = tx.one(query, Code::Internal).await?;
    tx.record_new(&USER, "user.invited", &user);
    tx.post(Mail {
        id: Uuid::new_v4(),
        organization_id: Some(organization),
        to: new.email.clone(),
        locale: user.tree()["locale"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        template: "invitation".into(),
        data: json!({
            "organization": host.name,
            "inviter": around.inviter,
            "name": new.first_name,
            "url": link(access.call.config.dashboard_url.as_deref(), &new.email),
        }),
    });
    access.commit(tx, Created::raw(&user)).await
}

/// Where the invited person goes: the dashboard's sign-up with their address filled in.
fn link(dashboard: Option<&str>, email: &str) -> Option<String> {
    let query = serde_urlencoded::to_string([("email", email)]).ok()?;
    dashboard.map(|dashboard| format!("{dashboard}/invitation?{query}"))
}

/// A statement after the lock's own, so that it sees what whoever held it before has done.
async fn surroundings(tx: &mut Tx, organization: Uuid, inviter: Uuid) -> Result<Surroundings> {
    tx.value(
        sql("SELECT json_build_object(
               'people', (SELECT count(*) FROM users_profile u
                 WHERE u.organization_id = $1::uuid AND u.deleted_at IS NULL),
               'inviter', (SELECT coalesce(nullif(display_name, ''), nullif(concat_ws(' ', first_name, last_name), ''), email)
                 FROM users_profile WHERE id = $2::uuid))::text")
        .bind(organization)
        .bind(inviter),
    )
    .await
}
