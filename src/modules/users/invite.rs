//! `POST /api/users`

use super::model::{Invitation, User};
use super::queries::{self, COLUMNS};
use crate::db::facts::{Action, Fact, Mail, changes};
use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::{Idempotency, Once};
use crate::http::permit::{Access, Permit, UsersWrite};
use crate::http::reply::{Created, Raw};
use celaest_domain::contact::is_locale;
use celaest_domain::membership::has_room;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// What the invitation depends on of the organization.
#[derive(Deserialize)]
struct Host {
    name: String,
    max_users: i64,
    locale: Option<String>,
    timezone: Option<String>,
}

/// What it depends on besides.
#[derive(Deserialize)]
struct Surroundings {
    people: i64,
    inviter: Option<String>,
}

/// Invites a person.
pub async fn create(
    permit: Permit<UsersWrite>,
    Once(idempotency, Body(new)): Once<Body<Invitation>>,
) -> Result<Created<User>> {
    let organization = permit.organization(new.organization_id)?;
    let missing = Error::field("organization_id", "does not exist");
    invite(&permit, &idempotency, organization, &new, missing).await
}

/// Invites a person into an organization; `missing` is the answer when there is none.
///
/// # Errors
/// 403 for a role or scope that the caller does not hold, 409 when the organization is full or somebody
/// has the address.
pub async fn invite(
    access: &Access,
    idempotency: &Idempotency,
    organization: Uuid,
    new: &Invitation,
    missing: Error,
) -> Result<Created<User>> {
    let powers = access.principal.powers();
    powers.gives(new.role.into(), &new.scopes, &[])?;
    let caller = access.caller();

    let mut tx = access.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let host = lock(&mut tx, organization).await?.ok_or(missing)?;
    if let Some(name) = &new.timezone {
        queries::check_timezone(&mut tx, "timezone", name).await?;
    }
    let around = surroundings(&mut tx, organization, access.principal.user_id).await?;
    if !has_room(host.max_users, around.people) {
        return Err(Code::UserLimitReached.into());
    }
    let user = insert(&mut tx, organization, new, &host, access.principal.user_id).await?;
    let tree = user.tree();
    let id: Uuid = serde_json::from_value(tree["id"].clone()).map_err(Error::internal)?;
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: Some(organization),
        action: Action::Create,
        event: "user.invited",
        resource_type: "user",
        resource_id: id,
        changes: changes(&Value::Null, &tree),
        payload: Some(queries::public(&tree)),
    });
    tx.post(Mail {
        id: Uuid::new_v4(),
        organization_id: Some(organization),
        to: new.email.clone(),
        locale: tree["locale"].as_str().unwrap_or_default().to_owned(),
        template: "invitation".into(),
        data: json!({
            "organization": host.name,
            "inviter": around.inviter,
            "name": new.first_name,
            "url": link(access.call.config.dashboard_url.as_deref(), &new.email),
        }),
    });
    let reply = Created::raw(&user);
    idempotency.settle(&mut tx, caller, &reply);
    access.commit(tx).await?;
    Ok(reply)
}

/// Where the invited person goes: the dashboard's sign-up with their address filled in.
fn link(dashboard: Option<&str>, email: &str) -> Option<String> {
    let query = serde_urlencoded::to_string([("email", email)]).ok()?;
    dashboard.map(|dashboard| format!("{dashboard}/invitation?{query}"))
}

/// Holds the organization until the transaction ends: its people are counted one invitation after the
/// other. Not `FOR UPDATE`, which would also hold up everybody who only refers to it.
async fn lock(tx: &mut Tx, organization: Uuid) -> Result<Option<Host>> {
    let query = sql(
        "SELECT o.name, o.max_users, o.settings->>'locale' AS locale, o.settings->>'timezone' AS timezone
         FROM organizations o
         WHERE ($1::uuid IS NULL OR o.id = $1::uuid) AND o.id = $2::uuid AND o.deleted_at IS NULL
         FOR NO KEY UPDATE OF o",
    )
    .bind(tx.scope().organization())
    .bind(organization);
    tx.row(query).await
}

/// A statement after the lock's own, so that it sees what whoever held it before has done.
async fn surroundings(tx: &mut Tx, organization: Uuid, inviter: Uuid) -> Result<Surroundings> {
    tx.value(
        sql("SELECT json_build_object(
               'people', (SELECT count(*) FROM users_profile WHERE organization_id = $1::uuid AND deleted_at IS NULL),
               'inviter', (SELECT coalesce(nullif(display_name, ''), nullif(concat_ws(' ', first_name, last_name), ''), email)
                 FROM users_profile WHERE id = $2::uuid))::text")
        .bind(organization)
        .bind(inviter),
    )
    .await
}

async fn insert(
    tx: &mut Tx,
    organization: Uuid,
    new: &Invitation,
    host: &Host,
    inviter: Uuid,
) -> Result<Raw<User>> {
    let locale = host.locale.as_deref().filter(|locale| is_locale(locale));
    let inserted: Option<Raw<User>> = tx
        .row(
            sql(format!(
                "INSERT INTO users_profile AS u (id, organization_id, email, first_name, last_name, role, scopes, locale,
                   timezone, invited_by, invited_at)
                 VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6::user_role, $7::jsonb, coalesce($8, 'es'),
                   coalesce($9, 'UTC'), $10::uuid, now())
                 RETURNING {COLUMNS}"
            ))
            .bind(Uuid::new_v4())
            .bind(organization)
            .bind(&new.email)
            .bind(new.first_name.as_deref())
            .bind(new.last_name.as_deref())
            .bind(new.role.as_str())
            .bind(json!(new.scopes))
            .bind(new.locale.as_deref().or(locale))
            .bind(new.timezone.as_deref().or(host.timezone.as_deref()))
            .bind(inviter)
            .on("idx_users_profile_email", Code::EmailTaken),
        )
        .await?;
    inserted.ok_or_else(|| Error::internal("an inserted person was not returned"))
}
