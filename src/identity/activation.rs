//! The first sign-in of somebody who was invited: their profile is found by the address, once the
//! sign-in provider itself confirms that it is theirs.

use crate::call::Call;
use crate::db::facts::Actor;
use crate::db::{Scope, outbox, sql};
use crate::error::{Code, Error, Result};
use crate::identity::person::{COLUMNS, USER};
use crate::identity::token::Token;
use crate::log;
use crate::platform::supabase;
use celaest_domain::contact::is_email;
use serde_json::Value;
use uuid::Uuid;

/// An invitation that waits, for `users_profile u`: `$1` is the address and `$2` the subject, who must
/// not be somebody already.
const WAITING: &str = "lower(u.email) = lower($1) AND u.invited_at IS NOT NULL AND u.activated_at IS NULL
    AND u.auth_user_id IS NULL AND u.deleted_at IS NULL
    AND EXISTS (SELECT 1 FROM organizations o WHERE o.id = u.organization_id AND o.deleted_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM users_profile p WHERE p.deleted_at IS NULL
      AND (p.auth_user_id = $2::uuid OR (p.id = $2::uuid AND p.auth_user_id IS NULL)))";

/// Makes the invited profile of a token's address the profile of its subject. Done by another request
/// at the same time is as good.
///
/// # Errors
/// 401 when nobody with that address is invited or the address is not confirmed; 503 when the provider
/// cannot be asked.
pub async fn activate(call: &Call, text: &str, token: &Token) -> Result<()> {
    let email = token.email.as_deref().filter(|email| is_email(email));
    let email = email.ok_or_else(|| Error::new(Code::ProfileNotFound))?;
    let invited: Option<Uuid> = call
        .database
        .begin(Scope::System, Actor::default())
        .only_value(
            sql(format!(
                "SELECT to_json(u.id)::text FROM users_profile u WHERE {WAITING}"
            ))
            .bind(email)
            .bind(token.subject),
        )
        .await?;
    let Some(invited) = invited else {
        // Also the second of two first requests, whose look-up came before the first one's end.
        return Ok(());
    };
    // The claim may be older than a change of the address, and says nothing of its confirmation.
    let confirmed = supabase::person(call.config, text)
        .await?
        .is_some_and(|person| {
            person.id == token.subject
                && person.email_confirmed_at.is_some()
                && person.email.is_some_and(|own| same(&own, email))
        });
    if !confirmed {
        return Err(Code::ProfileNotFound.into());
    }
    set(call, invited, email, token.subject).await
}

async fn set(call: &Call, invited: Uuid, email: &str, subject: Uuid) -> Result<()> {
    // A connection of its own, because publishing goes on while the request uses the other one.
    let database = call.another_database();
    let actor = Actor {
        kind: "user",
        user_id: Some(invited),
        request_id: call.request_id.clone(),
        ip: Some(call.ip.clone()),
        user_agent: call.user_agent.clone(),
        ..Actor::default()
    };
    let mut tx = database.begin(Scope::System, actor);
    let activated: Option<Value> = tx
        .row(
            sql(format!(
                "UPDATE users_profile AS u SET auth_user_id = $2::uuid, activated_at = now()
                 WHERE u.id = $3::uuid AND {WAITING} RETURNING {COLUMNS}"
            ))
            .bind(email)
            .bind(subject)
            .bind(invited)
            .on("idx_users_profile_auth_user", Code::ProfileNotFound),
        )
        .await?;
    let Some(user) = activated else {
        return Ok(());
    };
    let mut before = user.clone();
    before["status"] = "invited".into();
    before["activated_at"] = Value::Null;
    tx.record_between(&USER, "user.activated", &before, &user);
    let messages = tx.commit().await?;
    let (env, request_id) = (call.env().clone(), call.request_id.clone());
    call.background(async move {
        if let Err(error) = outbox::publish(&env, &database, &messages).await {
            log::warn(&request_id, "outbox messages left for the sweep", &error);
        }
        database.close();
    });
    Ok(())
}

/// Whether two texts are one address.
fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
