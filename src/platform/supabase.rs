//! Supabase Auth, where people sign in: what its own API is asked.

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::platform::fetch::{self, Answer};
use celaest_domain::json;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use worker::Method;

/// A person as the provider knows them.
#[derive(Debug, Deserialize)]
pub struct Person {
    /// The subject of their tokens.
    pub id: Uuid,
    /// Their address.
    pub email: Option<String>,
    /// When they proved that it is theirs.
    pub email_confirmed_at: Option<String>,
}

/// What a refresh token is exchanged for.
#[derive(Debug, Deserialize)]
pub struct Grant {
    /// The new access token.
    pub access_token: String,
    /// The refresh token for the next time.
    pub refresh_token: String,
    /// `bearer`.
    pub token_type: String,
    /// Seconds until the access token expires.
    pub expires_in: i64,
}

/// Seconds to wait when the provider asks for patience without saying how long.
const PATIENCE_S: u32 = 5;

/// The person whose access token this is; `None` when the provider does not accept the token.
///
/// # Errors
/// 503 when the provider does not answer as it should.
pub async fn person(config: &Config, token: &str) -> Result<Option<Person>> {
    let answer = call(config, Method::Get, "user", Some(token), None).await?;
    match answer.status {
        200 => json::parse(&answer.text)
            .map(Some)
            .map_err(Error::unavailable),
        401 | 403 | 404 => Ok(None),
        status => Err(unexpected(status)),
    }
}

/// Exchanges a refresh token.
///
/// # Errors
/// 401 when the provider does not accept it, 429 when it asks for patience, 503 when it does not answer
/// as it should.
pub async fn refresh(config: &Config, refresh_token: &str) -> Result<Grant> {
    let body = json!({ "refresh_token": refresh_token }).to_string();
    let path = "token?grant_type=refresh_token";
    let answer = call(config, Method::Post, path, None, Some(body)).await?;
    match answer.status {
        200 => json::parse(&answer.text).map_err(Error::unavailable),
        400 | 401 | 403 => Err(Code::InvalidRefreshToken.into()),
        429 => Err(Error {
            retry_after: Some(answer.retry_after_s.unwrap_or(PATIENCE_S)),
            ..Error::new(Code::RateLimited)
        }),
        status => Err(unexpected(status)),
    }
}

/// Ends the sign-in that a token belongs to; its refresh tokens end with it.
///
/// # Errors
/// 503 when the provider does not answer as it should. One that no longer knows the token is content.
pub async fn sign_out(config: &Config, token: &str) -> Result<()> {
    let path = "logout?scope=local";
    let answer = call(config, Method::Post, path, Some(token), None).await?;
    match answer.status {
        200..=299 | 401 | 403 | 404 => Ok(()),
        status => Err(unexpected(status)),
    }
}

fn unexpected(status: u16) -> Error {
    Error::unavailable(format!("the sign-in provider answered {status}"))
}

async fn call(
    config: &Config,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<String>,
) -> Result<Answer> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = Vec::new();
    if let Some(key) = &config.supabase_anon_key {
        headers.push(("apikey", key.expose()));
    }
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    let url = format!("{}/auth/v1/{path}", config.supabase_url);
    fetch::call(method, &url, &headers, body).await
}
