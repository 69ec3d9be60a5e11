//! `POST /api/auth/logout`

use super::model::Nothing;
use crate::db::facts::Action;
use crate::db::sql;
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::permit::SignedIn;
use crate::http::reply::NoContent;
use crate::identity::bearer;
use crate::identity::callers::Whom;
use crate::identity::session::{self, SESSION};
use crate::log;
use crate::platform::supabase;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Deserialize)]
struct Ended {
    id: Uuid,
}

/// Ends the caller's own sign-in here at once, and tells the sign-in provider. An API key has none.
pub async fn logout(access: SignedIn, Body(Nothing {}): Body<Nothing>) -> Outcome<NoContent> {
    let principal = &access.principal;
    let (Some(token), Some(text)) = (&principal.token, bearer(&access.call)) else {
        return Err(Code::Forbidden.into());
    };
    let agent = access.call.user_agent.as_deref();
    let mut tx = access.begin_last();
    // Inserted when the sign-in was not noted yet, so that it cannot be noted as going on.
    let ended: Option<Ended> = tx
        .row(
            sql(
                "INSERT INTO user_sessions AS s (user_id, organization_id, session_token, ip_address, user_agent,
                   device_info, is_active, ended_at)
                 VALUES ($1::uuid, $2::uuid, $3, $4::inet, $5, $6::jsonb, false, now())
                 ON CONFLICT (session_token) DO UPDATE SET is_active = false, ended_at = now()
                 WHERE s.user_id = excluded.user_id AND s.is_active
                 RETURNING s.id",
            )
            .bind(principal.user_id)
            .bind(principal.organization_id)
            .bind(token.session)
            .bind(&access.call.ip)
            .bind(agent)
            .bind(session::device(agent)),
        )
        .await?;
    // Nothing when another request ended it a moment ago.
    if let Some(Ended { id }) = ended {
        let (was, is) = (json!({ "is_active": true }), json!({ "is_active": false }));
        let changes = SESSION.changes(&was, &is);
        tx.record(session::fact(
            principal,
            id,
            Action::Logout,
            "user.logout",
            changes,
        ));
        let whom = Whom::Person(principal.user_id);
        access.forget_callers(&mut tx, whom).await?;
    }
    let (call, text) = (access.call.clone(), text.to_owned());
    tx.after_commit(async move {
        let told = call.clone();
        // Nobody waits for the provider.
        call.background(async move {
            if let Err(error) = supabase::sign_out(told.config, &text).await {
                log::warn(
                    &told.request_id,
                    "the provider was not told of a sign-out",
                    &error,
                );
            }
        });
        Ok(())
    });
    access.commit(tx, NoContent::done()).await
}
