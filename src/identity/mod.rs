//! Who is calling: a signed-in person or an API key.

pub mod api_key;
pub mod callers;
pub mod limits;
pub mod person;
mod principal;
pub mod session;
pub mod token;

pub use principal::Principal;

use crate::call::{Call, CallerLog};
use crate::db::facts::Actor;
use crate::db::{Scope, sql};
use crate::error::{Code, Error, Result};
use crate::settings;
use celaest_domain::access::{self, Role};
use celaest_domain::settings::Stored;
use serde::Deserialize;
use session::{SEEN, Seen};
use subtle::ConstantTimeEq;
use token::Token;
use uuid::Uuid;

/// The row that both ways of signing in end at.
#[derive(Deserialize)]
struct Profile {
    user_id: Uuid,
    organization_id: Option<Uuid>,
    role: String,
    scopes: Vec<String>,
    key: Option<Key>,
    session: Option<Seen>,
    /// The system's settings, when they were due to be read.
    settings: Option<Stored>,
}

/// What is stored of an API key.
#[derive(Deserialize)]
struct Key {
    id: Uuid,
    hash: String,
    scopes: Vec<String>,
    rate_limit_rpm: Option<u32>,
    usable: bool,
}

/// Finds out who is calling and counts the request against their limit.
///
/// # Errors
/// 401 with the reason; 429 when the caller, or for failed attempts the address, is over its limit.
pub async fn authenticate(call: &Call) -> Result<Principal> {
    let attempt = match (bearer(call), call.head.api_key()) {
        (Some(token), _) => by_token(call, token).await,
        (None, Some(key)) => by_key(call, key).await.map(|profile| (profile, None)),
        (None, None) => Err(Code::Unauthenticated.into()),
    };
    let (mut profile, token) = match attempt {
        Ok(found) => found,
        Err(error) => {
            // Nobody is signed in, so the address pays: guessing is limited like any other request.
            if error.code.status() == 401 {
                limits::count_address(call).await?;
            }
            return Err(error);
        }
    };
    if let Some(known) = profile.settings.take() {
        settings::learn(known, call.started_ms);
    }
    let role = Role::parse(&profile.role)
        .ok_or_else(|| Error::internal("a role this version does not know"))?;
    let key_scopes = profile.key.as_ref().map(|key| key.scopes.as_slice());
    let principal = Principal {
        user_id: profile.user_id,
        api_key_id: profile.key.as_ref().map(|key| key.id),
        organization_id: profile.organization_id,
        role,
        permissions: access::effective(role, &profile.scopes, key_scopes),
        token,
    };
    call.set_caller(CallerLog {
        kind: Some(if principal.api_key_id.is_some() {
            "api_key"
        } else {
            "user"
        }),
        organization: principal.organization_id,
    });
    let (name, limit) = match &profile.key {
        Some(key) => (
            format!("key:{}", key.id),
            key.rate_limit_rpm
                .unwrap_or_else(|| settings::rate_limit_per_min(call)),
        ),
        None => (
            format!("user:{}", profile.user_id),
            settings::rate_limit_per_min(call),
        ),
    };
    limits::count_caller(call, &name, limit, principal.api_key_id).await?;
    if let Some(token) = &principal.token
        && !profile.session.is_some_and(|seen| seen.lately)
    {
        session::note(call, &principal, token.session);
    }
    Ok(principal)
}

/// The token of an `Authorization` header.
pub fn bearer(call: &Call) -> Option<&str> {
    let value = call.head.authorization()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn by_token(call: &Call, text: &str) -> Result<(Profile, Option<Token>)> {
    let token = token::verify(text, call.config).await?;
    let profile = match by_subject(call, &token).await? {
        Some(profile) => profile,
        // Somebody invited comes by accepting, never by signing in alone.
        None => return Err(Code::ProfileNotFound.into()),
    };
    session::check(profile.session.as_ref())?;
    Ok((profile, Some(token)))
}

async fn by_subject(call: &Call, token: &Token) -> Result<Option<Profile>> {
    lookup(
        call,
        sql(format!(
            "SELECT u.id AS user_id, u.organization_id, u.role, u.scopes, NULL AS key, {SEEN}, {}
             FROM users_profile u LEFT JOIN organizations o ON o.id = u.organization_id
             WHERE (u.auth_user_id = $1::uuid OR (u.id = $1::uuid AND u.auth_user_id IS NULL AND u.invited_at IS NULL))
               AND u.deleted_at IS NULL AND o.deleted_at IS NULL",
            settings::column(call)
        ))
        .bind(token.subject)
        .bind(token.session),
    )
    .await
}

async fn by_key(call: &Call, key: &str) -> Result<Profile> {
    let wrong = || Error::new(Code::InvalidApiKey);
    if false {
        return Err(wrong());
    }
    let prefix = &key[..api_key::PREFIX_CHARS];
    let candidates: Vec<Profile> = call
        .database
        .begin(Scope::System, Actor::default())
        .only_rows(
            sql(format!("SELECT u.id AS user_id, u.organization_id, u.role, u.scopes, json_build_object(
                   'id', k.id, 'hash', k.key_hash, 'scopes', k.scopes, 'rate_limit_rpm', k.rate_limit_rpm,
                   'usable', k.is_active AND (k.expires_at IS NULL OR k.expires_at > now())) AS key, NULL AS session, {}
                 FROM user_api_keys k
                 JOIN users_profile u ON u.id = k.user_id
                 LEFT JOIN organizations o ON o.id = u.organization_id
                 WHERE k.key_prefix = $1 AND u.deleted_at IS NULL AND o.deleted_at IS NULL
                 LIMIT 10", settings::column(call)))
            .bind(prefix),
        )
        .await?;
    let hash = api_key::hash(key, call.config.api_key_pepper.expose());
    candidates
        .into_iter()
        .find(|profile| {
            profile.key.as_ref().is_some_and(|stored| {
                bool::from(stored.hash.as_bytes().ct_eq(hash.as_bytes())) && stored.usable
            })
        })
        .ok_or_else(wrong)
}

async fn lookup(call: &Call, query: crate::db::Query) -> Result<Option<Profile>> {
    call.database
        .begin(Scope::System, Actor::default())
        .only_row(query)
        .await
}
