//! `POST /api/auth/refresh`

use super::model::{Renewal, Tokens};
use crate::db::facts::Actor;
use crate::db::{Scope, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::params::Caller;
use crate::http::reply::Data;
use crate::identity::{limits, token};
use crate::log;
use crate::platform::supabase;

/// Exchanges a refresh token at the sign-in provider. What comes back is checked like every token, and
/// refused when its sign-in was ended here.
pub async fn refresh(Caller(call): Caller, Body(renewal): Body<Renewal>) -> Result<Data<Tokens>> {
    // Nobody is signed in, so the address pays.
    limits::count_address(&call).await?;
    let grant = supabase::refresh(call.config, &renewal.refresh_token).await?;
    let verified = token::verify(&grant.access_token, call.config)
        .await
        .map_err(|error| Error::unavailable(format!("the provider's token: {error:?}")))?;
    let ended: Option<bool> = call
        .database
        .begin(Scope::System, Actor::default())
        .only_value(
            sql("SELECT to_json(NOT is_active)::text FROM user_sessions WHERE session_token = $1")
                .bind(verified.session),
        )
        .await?;
    if ended == Some(true) {
        // The provider does not know yet, or did not listen.
        let (config, request_id) = (call.config, call.request_id.clone());
        call.background(async move {
            if let Err(error) = supabase::sign_out(config, &grant.access_token).await {
                log::warn(
                    &request_id,
                    "the provider was not told of a sign-out",
                    &error,
                );
            }
        });
        return Err(Code::SessionEnded.into());
    }
    Ok(Data::of(&Tokens {
        access_token: grant.access_token,
        refresh_token: grant.refresh_token,
        token_type: grant.token_type,
        expires_in: grant.expires_in,
        expires_at: verified.expires_s,
    }))
}
