//! Who is calling: a signed-in person or an API key.

use crate::db::facts::Actor;
use crate::db::{Scope, sql};
use crate::error::{Code, Error, Result};
use crate::http::activation;
use crate::http::call::{Call, CallerLog, header};
use crate::http::jwt::{self, Token};
use crate::http::session::{self, SEEN, Seen};
use crate::modules::settings::current;
use crate::platform::objects;
use axum::http::HeaderMap;
use celaest_domain::access::{self, Permissions, Role};
use celaest_domain::membership::Caller;
use celaest_domain::settings::Stored;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;
use std::fmt::Write;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// A caller that has proved who it is.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The user, also when an API key of theirs is used.
    pub user_id: Uuid,
    /// The API key, when one is used.
    pub api_key_id: Option<Uuid>,
    /// The user's organization.
    pub organization_id: Option<Uuid>,
    /// The user's role.
    pub role: Role,
    /// What the caller may do.
    pub permissions: Permissions,
    /// What the token says, when one was used.
    pub token: Option<Token>,
}

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

/// Length of the visible beginning of an API key: `celk_` and eight characters.
pub const KEY_PREFIX_CHARS: usize = 13;
/// Longest API key that is worth hashing, in bytes.
const MAX_KEY_BYTES: usize = 128;

impl Principal {
    /// Whose rows the caller's transactions see.
    ///
    /// # Errors
    /// 403 for a user without an organization.
    pub fn scope(&self) -> Result<Scope> {
        match (self.role, self.organization_id) {
            (Role::SuperAdmin, _) => Ok(Scope::System),
            (role, Some(organization)) => Ok(Scope::Tenant {
                organization,
                owner: (role == Role::Client).then_some(self.user_id),
            }),
            (_, None) => Err(Code::Forbidden.into()),
        }
    }

    /// What the caller may give to others, and whom they may touch.
    pub fn powers(&self) -> Caller {
        Caller {
            role: self.role,
            permissions: self.permissions,
        }
    }

    /// The caller as the audit log names it.
    pub fn actor(&self, call: &Call) -> Actor {
        Actor {
            kind: if self.api_key_id.is_some() {
                "api_key"
            } else {
                "user"
            },
            user_id: Some(self.user_id),
            api_key_id: self.api_key_id,
            request_id: call.request_id.clone(),
            ip: Some(call.ip.clone()),
            user_agent: call.user_agent.clone(),
        }
    }
}

/// Finds out who is calling and counts the request against their limit.
///
/// # Errors
/// 401 with the reason; 429 when the caller, or for failed attempts the address, is over its limit.
pub async fn authenticate(call: &Call, headers: &HeaderMap) -> Result<Principal> {
    let attempt = match (bearer(headers), header(headers, "x-api-key")) {
        (Some(token), _) => by_token(call, token).await,
        (None, Some(key)) => by_key(call, key).await.map(|profile| (profile, None)),
        (None, None) => Err(Code::Unauthenticated.into()),
    };
    let (mut profile, token) = match attempt {
        Ok(found) => found,
        Err(error) => {
            // Nobody is signed in, so the address pays: guessing is limited like any other request.
            if error.code.status() == axum::http::StatusCode::UNAUTHORIZED {
                objects::count_request(
                    call,
                    &format!("ip:{}", call.ip),
                    current::rate_limit_per_min(call),
                    None,
                )
                .await?;
            }
            return Err(error);
        }
    };
    if let Some(settings) = profile.settings.take() {
        current::learn(settings, call.started_ms);
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
                .unwrap_or_else(|| current::rate_limit_per_min(call)),
        ),
        None => (
            format!("user:{}", profile.user_id),
            current::rate_limit_per_min(call),
        ),
    };
    objects::count_request(call, &name, limit, principal.api_key_id).await?;
    if let Some(token) = &principal.token
        && !profile.session.is_some_and(|seen| seen.lately)
    {
        session::note(call, &principal, token.session);
    }
    Ok(principal)
}

/// The token of an `Authorization` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = header(headers, "authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn by_token(call: &Call, text: &str) -> Result<(Profile, Option<Token>)> {
    let token = jwt::verify(text, call.config).await?;
    let profile = match by_subject(call, &token).await? {
        Some(profile) => profile,
        None => {
            activation::activate(call, text, &token).await?;
            let activated = by_subject(call, &token).await?;
            activated.ok_or_else(|| Error::new(Code::ProfileNotFound))?
        }
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
             WHERE (u.auth_user_id = $1::uuid OR (u.id = $1::uuid AND u.auth_user_id IS NULL))
               AND u.deleted_at IS NULL AND o.deleted_at IS NULL",
            current::column(call)
        ))
        .bind(token.subject)
        .bind(token.session),
    )
    .await
}

async fn by_key(call: &Call, key: &str) -> Result<Profile> {
    let wrong = || Error::new(Code::InvalidApiKey);
    if key.len() > MAX_KEY_BYTES || !key.is_ascii() || key.len() <= KEY_PREFIX_CHARS {
        return Err(wrong());
    }
    let prefix = &key[..KEY_PREFIX_CHARS];
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
                 LIMIT 10", current::column(call)))
            .bind(prefix),
        )
        .await?;
    let hash = key_hash(key, call.config.api_key_pepper.expose());
    candidates
        .into_iter()
        .find(|profile| {
            profile.key.as_ref().is_some_and(|stored| {
                bool::from(stored.hash.as_bytes().ct_eq(hash.as_bytes())) && stored.usable
            })
        })
        .ok_or_else(wrong)
}

/// The form in which API keys are stored: HMAC-SHA256 under the pepper, in hexadecimal.
pub fn key_hash(key: &str, pepper: &str) -> String {
    // HMAC takes keys of any length, so this cannot fail; an empty hash would match nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(pepper.as_bytes()) else {
        return String::new();
    };
    mac.update(key.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

async fn lookup(call: &Call, query: crate::db::Query) -> Result<Option<Profile>> {
    call.database
        .begin(Scope::System, Actor::default())
        .only_row(query)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_keyed() {
        assert_eq!(key_hash("celk_x", "a").len(), 64);
        assert_ne!(key_hash("celk_x", "a"), key_hash("celk_x", "b"));
    }
}
