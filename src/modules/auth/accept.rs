//! `POST /api/auth/accept-invitation`

use super::model::Acceptance;
use crate::call::Call;
use crate::db::facts::Actor;
use crate::db::{Scope, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::params::Caller;
use crate::http::reply::Data;
use crate::identity::callers::{self, Whom};
use crate::identity::person::{CAME, COLUMNS, USER};
use crate::identity::token::{self, Token};
use crate::identity::{bearer, limits};
use crate::modules::users::invitation::hash;
use crate::modules::users::model::User;
use crate::platform::supabase;
use celaest_domain::email::normalised;
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;
use uuid::Uuid;

/// What is known before anybody is asked.
#[derive(Deserialize)]
struct Known {
    invited: Option<Uuid>,
    ended: bool,
}

/// An invitation, held.
#[derive(Deserialize)]
struct Invitation {
    id: Uuid,
    email: String,
    auth_user_id: Option<Uuid>,
    came: bool,
    is_open: bool,
}

/// Somebody whom whoever accepts would be besides.
#[derive(Deserialize)]
struct Other {
    id: Uuid,
    is_closed: bool,
}

/// Makes the invited profile that of the sent token's subject, once the sign-in provider itself says that
/// the invited address is theirs. The caller is nobody here yet; accepting twice is accepting once.
pub async fn accept(
    Caller(call): Caller,
    Body(acceptance): Body<Acceptance>,
) -> Result<Data<User>> {
    // Nobody is signed in, so the address pays.
    limits::count_address(&call).await?;
    let text = bearer(&call).ok_or(Code::Unauthenticated)?;
    let token = token::verify(text, call.config).await?;
    let secret = hash(&acceptance.token);
    let known: Known = call
        .database
        .begin(Scope::System, Actor::default())
        .only_value(
            sql("SELECT json_build_object(
                   'invited', (SELECT u.id FROM users_profile u WHERE u.invitation_hash = $1 AND u.deleted_at IS NULL),
                   'ended', EXISTS (SELECT 1 FROM user_sessions s WHERE s.session_token = $2 AND NOT s.is_active))::text")
            .bind(&secret)
            .bind(token.session),
        )
        .await?;
    if known.ended {
        return Err(Code::SessionEnded.into());
    }
    let invited = known.invited.ok_or(Code::InvitationNotFound)?;
    // The token may be older than a change of the address, and says nothing of its confirmation.
    let person = supabase::person(call.config, text)
        .await?
        .filter(|person| person.id == token.subject)
        .ok_or(Code::InvalidToken)?;
    let confirmed = person
        .email
        .filter(|_| person.email_confirmed_at.is_some())
        .and_then(|email| normalised(&email));
    let user = enter(&call, (invited, &secret), &token, confirmed).await?;
    Ok(Data::text(user.to_string()))
}

async fn enter(
    call: &Rc<Call>,
    (invited, secret): (Uuid, &str),
    token: &Token,
    confirmed: Option<String>,
) -> Result<Value> {
    let actor = Actor {
        kind: "user",
        user_id: Some(invited),
        request_id: call.request_id.clone(),
        ip: Some(call.ip.clone()),
        user_agent: call.user_agent.clone(),
        ..Actor::default()
    };
    let mut tx = call.database.begin(Scope::System, actor);
    let invitation = sql(format!(
        "SELECT u.id, u.email, u.auth_user_id, {CAME} AS came, coalesce(u.invitation_expires_at > now(), false) AS is_open
         FROM users_profile u JOIN organizations o ON o.id = u.organization_id AND o.deleted_at IS NULL
         WHERE u.invitation_hash = $1 AND u.deleted_at IS NULL FOR NO KEY UPDATE OF u"
    ));
    let invitation: Invitation = tx
        .one(invitation.bind(secret), Code::InvitationNotFound)
        .await?;
    if invitation.came && invitation.auth_user_id == Some(token.subject) {
        let user = sql(format!(
            "SELECT {COLUMNS} FROM users_profile u WHERE u.id = $1::uuid"
        ));
        return tx
            .only_one(user.bind(invitation.id), Code::InvitationNotFound)
            .await;
    }
    if invitation.came || !invitation.is_open {
        return Err(Code::InvitationNotFound.into());
    }
    if confirmed.as_deref() != Some(&*invitation.email) {
        return Err(Code::InvitationAddress.into());
    }
    make_room(&mut tx, &invitation, token.subject).await?;
    let activated = sql(format!(
        "UPDATE users_profile AS u SET auth_user_id = $2::uuid, activated_at = now(), invitation_expires_at = NULL
         WHERE u.id = $1::uuid RETURNING {COLUMNS}"
    ));
    let activated = activated
        .bind(invitation.id)
        .bind(token.subject)
        .on("idx_users_profile_auth_user", Code::AlreadyMember)
        .on("idx_users_profile_email", Code::AlreadyMember);
    let user: Value = tx.one(activated, Code::InvitationNotFound).await?;
    let mut before = user.clone();
    before["status"] = "invited".into();
    before["activated_at"] = Value::Null;
    tx.record_between(&USER, "user.activated", &before, &user);
    let changed = callers::changed(&mut tx, Whom::Person(invitation.id)).await?;
    call.count_object_calls(2 * changed.count());
    changed.announce(call.env()).await?;
    let messages = tx.commit().await?;
    let forgotten = changed.settle(call.env(), false).await;
    Call::publish(call, messages);
    forgotten.map(|()| user)
}

/// Whoever accepts is somebody once: not beside a profile of theirs, or of their address, unless its
/// organization was closed. Their sign-ins come along, so that they can be ended from here on.
async fn make_room(tx: &mut Tx, invitation: &Invitation, subject: Uuid) -> Result<()> {
    let others = sql(format!(
        "SELECT u.id, o.deleted_at IS NOT NULL AS is_closed
         FROM users_profile u LEFT JOIN organizations o ON o.id = u.organization_id
         WHERE (u.auth_user_id = $1::uuid OR (u.id = $1::uuid AND u.auth_user_id IS NULL) OR u.email = $2)
           AND u.id <> $3::uuid AND u.deleted_at IS NULL AND {CAME}
         FOR NO KEY UPDATE OF u"
    ));
    let others = others
        .bind(subject)
        .bind(&invitation.email)
        .bind(invitation.id);
    let others: Vec<Other> = tx.rows(others).await?;
    if others.iter().any(|other| !other.is_closed) {
        return Err(Error::new(Code::AlreadyMember));
    }
    let ids: Vec<Uuid> = others.iter().map(|other| other.id).collect();
    if !ids.is_empty() {
        tx.execute(
            sql("UPDATE users_profile SET deleted_at = now()
                 WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))")
            .bind(json!(ids)),
        )
        .await?;
        tx.execute(
            sql(
                "UPDATE user_sessions s SET user_id = u.id, organization_id = u.organization_id
                 FROM users_profile u
                 WHERE u.id = $2::uuid
                   AND s.user_id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))",
            )
            .bind(json!(ids))
            .bind(invitation.id),
        )
        .await?;
    }
    Ok(())
}
