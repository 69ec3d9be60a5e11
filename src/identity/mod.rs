//! Who is calling: a signed-in person or an API key.

pub mod api_key;
pub mod callers;
pub mod files;
pub mod limits;
pub mod person;
mod principal;
pub mod session;
mod signing_keys;
pub mod token;

pub use principal::{License, Principal};

use crate::call::{Call, CallerLog};
use crate::db::facts::Actor;
use crate::db::{Query, Scope, sql};
use crate::error::{Code, Error, Result};
use crate::settings;
use celaest_domain::access::{self, Role};
use celaest_domain::json;
use celaest_durable::caller::{self, Answer, Ask, Supply};
use person::{COLUMNS, MORE_COLUMNS};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use token::Token;
use uuid::Uuid;
use worker::Delay;

/// A caller can change while it is being read; each time it is read again, soon with a pause: changes that
/// are told once more by the outbox come many at a time.
const ATTEMPTS: u32 = 12;
/// Attempts without a pause before them.
const AT_ONCE: u32 = 3;
/// What each pause is longer than the one before it.
const PAUSE: Duration = Duration::from_millis(20);

/// Who a caller is, as its object keeps it.
#[derive(Deserialize)]
struct Who {
    user_id: Uuid,
    organization_id: Option<Uuid>,
    role: String,
    scopes: Vec<String>,
    key: Option<Key>,
    #[serde(default)]
    license: Option<License>,
}

/// What is known of an API key.
#[derive(Deserialize)]
struct Key {
    id: Uuid,
    scopes: Vec<String>,
    #[serde(default)]
    budget: Option<i64>,
    #[serde(default)]
    account: Option<Uuid>,
}

/// How somebody says who they are.
enum Claim {
    /// A good access token.
    Token(Token),
    /// A well-formed API key, in the form in which it is stored.
    Key(String),
}

/// What the endpoint is going to need of the caller, besides who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Nothing.
    Nothing,
    /// PostgreSQL: the connection is opened meanwhile.
    Connection,
    /// What the person's own profile shows.
    Profile,
}

/// What the caller's object said.
struct Recognised {
    who: Who,
    profile: Option<Box<RawValue>>,
    /// It is time to note that the sign-in is in use.
    note: bool,
}

/// Finds out who is calling and counts the request against their limit: one call to the caller's object,
/// and a statement only when it does not know.
///
/// # Errors
/// 401 with the reason; 429 when the caller, or for failed attempts the address, is over its limit.
pub async fn authenticate(call: &Call, wants: Wants) -> Result<Principal> {
    let claim = match claim(call).await {
        // What was never a key is no guess, and touches nothing.
        Err(error) if error.code == Code::InvalidApiKey => return Err(error),
        claim => claim,
    };
    let attempt: Result<_> = async {
        let claim = claim?;
        let recognised = recognise(call, &claim, wants).await?;
        Ok((claim, recognised))
    }
    .await;
    // Nobody is signed in, so the address pays: guessing is limited like any other request.
    if let Err(error) = &attempt
        && error.code.status() == 401
    {
        limits::count_failure(call).await?;
    }
    let (claim, Recognised { who, profile, note }) = attempt?;
    let role = Role::parse(&who.role)
        .ok_or_else(|| Error::internal("a role this version does not know"))?;
    let key_scopes = who.key.as_ref().map(|key| key.scopes.as_slice());
    let principal = Principal {
        user_id: who.user_id,
        api_key_id: who.key.as_ref().map(|key| key.id),
        ai_budget_micro: who.key.as_ref().and_then(|key| key.budget),
        ai_account: who.key.as_ref().and_then(|key| key.account),
        license: who.license,
        organization_id: who.organization_id,
        role,
        permissions: access::effective(role, &who.scopes, key_scopes),
        token: match claim {
            Claim::Token(token) => Some(token),
            Claim::Key(_) => None,
        },
        profile,
    };
    call.set_caller(CallerLog {
        kind: Some(match principal.api_key_id {
            Some(_) => "api_key",
            None => "user",
        }),
        organization: principal.organization_id,
    });
    if let Some(token) = principal.token.as_ref().filter(|_| note) {
        session::note(call, &principal, token.session);
    }
    Ok(principal)
}

/// Whether somebody wants to prove who they are.
pub fn shows_credential(call: &Call) -> bool {
    bearer(call).is_some() || call.head.api_key().is_some()
}

/// The token of an `Authorization` header.
pub fn bearer(call: &Call) -> Option<&str> {
    let value = call.head.authorization()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What can be known without asking anybody.
async fn claim(call: &Call) -> Result<Claim> {
    match (bearer(call), call.head.api_key()) {
        // Programs written for other APIs send their key as a token.
        (Some(text), _) | (None, Some(text)) if api_key::is_meant(text) => {
            api_key::read(text, call.config.api_key_pepper.all())
                .map(Claim::Key)
                .ok_or_else(|| Code::InvalidApiKey.into())
        }
        (Some(text), _) => token::verify(text, call.config).await.map(Claim::Token),
        (None, Some(_)) => Err(Code::InvalidApiKey.into()),
        (None, None) => Err(Code::Unauthenticated.into()),
    }
}

/// Asks the caller's object, and PostgreSQL when that does not know.
async fn recognise(call: &Call, claim: &Claim, wants: Wants) -> Result<Recognised> {
    let (name, session) = match claim {
        Claim::Token(token) => (callers::of_subject(token.subject), Some(token.session)),
        Claim::Key(hash) => (callers::of_key(hash), None),
    };
    settings::fresh(call).await;
    // Whoever was refused a moment ago is about to be refused again, and costs no connection.
    if wants == Wants::Connection && limits::known_over(&name).is_none() {
        call.database.expect_use();
    }
    let mut found: Option<(u64, Box<RawValue>)> = None;
    for attempt in 0..ATTEMPTS {
        if let Some(pauses) = attempt.checked_sub(AT_ONCE).filter(|pauses| *pauses > 0) {
            Delay::from(PAUSE * pauses).await;
        }
        let ask = Ask {
            session,
            limit: settings::rate_limit_per_min(call),
            max_age_s: call.config.snapshot_ttl_seconds,
            profile: wants == Wants::Profile,
            supply: found.as_ref().map(|(token, data)| Supply {
                token: *token,
                data,
            }),
        };
        call.count_object_call();
        let answer = caller::ask(call.env(), &name, &ask).await;
        match answer.map_err(Error::unavailable)? {
            Answer::Known {
                who,
                profile,
                decision,
                note,
            } => {
                limits::apply(call, decision)?;
                let who = json::read(who.get()).map_err(Error::internal)?;
                return Ok(Recognised { who, profile, note });
            }
            Answer::Limited(decision) => {
                limits::note_over(name.clone(), decision);
                limits::apply(call, decision)?;
            }
            Answer::Ended => return Err(Code::SessionEnded.into()),
            Answer::Expired => return Err(Code::InvalidApiKey.into()),
            Answer::Need { token } => {
                limits::may_try(call)?;
                found = Some((token, look_up(call, claim).await?));
            }
        }
    }
    Err(Error::unavailable("the caller keeps changing"))
}

/// Reads a caller from PostgreSQL, in the form in which its object takes it.
async fn look_up(call: &Call, claim: &Claim) -> Result<Box<RawValue>> {
    match claim {
        Claim::Key(hash) => {
            let found = look(call, by_key(hash)).await?;
            found.ok_or_else(|| Code::InvalidApiKey.into())
        }
        // Somebody invited comes by accepting, never by signing in alone.
        Claim::Token(token) => {
            let found = look(call, by_subject(token)).await?;
            found.ok_or_else(|| Code::ProfileNotFound.into())
        }
    }
}

async fn look(call: &Call, query: Query) -> Result<Option<Box<RawValue>>> {
    let tx = call.database.begin(Scope::System, Actor::default());
    tx.only_row(query).await
}

/// The columns that both ways of signing in end at, from `users_profile u` and `organizations o`; `key` is what
/// is known of an API key.
fn columns(key: &str) -> String {
    let license = license_of(
        "u.organization_id",
        "CASE WHEN u.role = 'client' THEN u.id END",
    );
    format!(
        "json_build_object('user_id', u.id, 'organization_id', u.organization_id, 'role', u.role, 'scopes', u.scopes,
           'key', {key}, 'license', (SELECT json_build_object('id', l.id, 'key', l.license_key) FROM licenses l
             WHERE l.id = {license})) AS who,
         json_build_object('profile', (SELECT row_to_json(p) FROM (SELECT {COLUMNS}, {MORE_COLUMNS}) p),
           'organization', CASE WHEN o.id IS NOT NULL THEN
             json_build_object('id', o.id, 'name', o.name, 'slug', o.slug, 'settings', o.settings) END) AS profile"
    )
}

/// The license that AI calls of an organization use unless they name one: the oldest of those in force, and of
/// `owner`'s own where there is one.
pub fn license_of(organization: &str, owner: &str) -> String {
    format!(
        "(SELECT d.id FROM licenses d
           WHERE d.organization_id = {organization} AND ({owner} IS NULL OR d.owner_id = {owner})
             AND d.status IN ('active', 'trial') AND d.starts_at <= now()
             AND (d.expires_at IS NULL OR d.expires_at > now())
             AND (d.status <> 'trial' OR d.trial_ends_at IS NULL OR d.trial_ends_at > now())
           ORDER BY d.created_at, d.id LIMIT 1)"
    )
}

fn by_subject(token: &Token) -> Query {
    sql(format!(
        "SELECT {},
           (SELECT json_build_object('ended', NOT s.is_active, 'lately', s.last_seen_at > now() - interval '1 minute')
            FROM user_sessions s WHERE s.session_token = $2) AS session
         FROM users_profile u LEFT JOIN organizations o ON o.id = u.organization_id
         WHERE (u.auth_user_id = $1::uuid OR (u.id = $1::uuid AND u.auth_user_id IS NULL AND u.invited_at IS NULL))
           AND u.deleted_at IS NULL AND o.deleted_at IS NULL",
        columns("NULL")
    ))
    .bind(token.subject)
    .bind(token.session)
}

fn by_key(hash: &str) -> Query {
    sql(format!(
        "SELECT {}, k.id AS api_key_id, k.rate_limit_rpm AS limit,
           floor(extract(epoch FROM k.expires_at) * 1000)::bigint AS expires_ms
         FROM user_api_keys k
         JOIN users_profile u ON u.id = k.user_id
         LEFT JOIN organizations o ON o.id = u.organization_id
         WHERE k.key_hash = $1 AND k.is_active AND u.deleted_at IS NULL AND o.deleted_at IS NULL",
        columns("json_build_object('id', k.id, 'scopes', k.scopes, 'account', coalesce(k.ai_account, k.id), 'budget', round(k.max_ai_cost_usd_per_month * 1000000)::bigint)")
    ))
    .bind(hash)
}
