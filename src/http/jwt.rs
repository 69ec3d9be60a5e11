//! Supabase's access tokens: which key may verify one, and what must be true of its claims.
//!
//! The algorithm is chosen by our configuration and by the key's own type, never by the token alone:
//! HS256 only with our shared secret, ES256/RS256 only with a published key of that very type.

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::platform::{clock, fetch};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Clock difference between Supabase and us that is forgiven, in seconds.
const LEEWAY_S: i64 = 30;
/// After a key set was fetched, an unknown `kid` does not cause another fetch for this long.
const COOL_DOWN_MS: i64 = 30_000;
/// A token longer than this is not worth parsing, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What we read of a token.
#[derive(Debug, Clone, Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<i64>,
    nbf: Option<i64>,
    iss: Option<String>,
    aud: Option<Audience>,
    role: Option<String>,
    session_id: Option<String>,
    email: Option<String>,
}

/// What a good token says.
#[derive(Debug, Clone)]
pub struct Token {
    /// The subject: who signed in, as the sign-in provider knows them.
    pub subject: Uuid,
    /// The sign-in that the token belongs to; the same in every token refreshed from it.
    pub session: Uuid,
    /// The address, as the provider wrote it into the token.
    pub email: Option<String>,
    /// Until when it is good, in seconds since the epoch.
    pub expires_s: i64,
}

/// `aud` is one string or several (RFC 7519, 4.1.3).
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

/// The published keys as this isolate knows them.
#[derive(Clone)]
struct Keys {
    asked_at_ms: Option<i64>,
    set: Option<JwkSet>,
}

static KEYS: Mutex<Keys> = Mutex::new(Keys {
    asked_at_ms: None,
    set: None,
});

/// Verifies a token and returns what it says.
///
/// # Errors
/// [`Code::TokenExpired`] or [`Code::InvalidToken`]; [`Code::Unavailable`] when the key set is needed
/// and cannot be fetched.
pub async fn verify(token: &str, config: &Config) -> Result<Token> {
    let now_s = clock::now_ms() / 1000;
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Code::InvalidToken.into());
    }
    let header = decode_header(token).map_err(|_| Error::new(Code::InvalidToken))?;
    let claims = match header.alg {
        Algorithm::HS256 => {
            let secret = config
                .supabase_jwt_secret
                .as_ref()
                .ok_or_else(|| Error::new(Code::InvalidToken))?;
            claims(
                token,
                &DecodingKey::from_secret(secret.expose().as_bytes()),
                Algorithm::HS256,
            )?
        }
        Algorithm::ES256 | Algorithm::RS256 => {
            let kid = header.kid.ok_or_else(|| Error::new(Code::InvalidToken))?;
            let key = published_key(&kid, config).await?;
            let algorithm = algorithm_of(&key).filter(|own| *own == header.alg);
            let decoding =
                DecodingKey::from_jwk(&key).map_err(|_| Error::new(Code::InvalidToken))?;
            claims(
                token,
                &decoding,
                algorithm.ok_or_else(|| Error::new(Code::InvalidToken))?,
            )?
        }
        _ => return Err(Code::InvalidToken.into()),
    };
    accept(
        &claims,
        &format!("{}/auth/v1", config.supabase_url),
        &config.supabase_jwt_audience,
        now_s,
    )
}

/// Checks the signature; the times are checked by [`accept`], with our clock.
fn claims(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    decode::<Claims>(token, key, &validation)
        .map(|token| token.claims)
        .map_err(|_| Code::InvalidToken.into())
}

/// What must be true of a token whose signature is good.
fn accept(claims: &Claims, issuer: &str, audience: &str, now_s: i64) -> Result<Token> {
    let wrong = || Error::new(Code::InvalidToken);
    if claims.iss.as_deref() != Some(issuer)
        || !claims
            .aud
            .as_ref()
            .is_some_and(|aud| aud.contains(audience))
    {
        return Err(wrong());
    }
    if claims
        .nbf
        .is_some_and(|nbf| nbf > now_s.saturating_add(LEEWAY_S))
    {
        return Err(wrong());
    }
    let expires_s = claims.exp.ok_or_else(wrong)?;
    if expires_s.saturating_add(LEEWAY_S) <= now_s {
        return Err(Code::TokenExpired.into());
    }
    // The project's anon and service keys are tokens too; they name no user.
    if matches!(claims.role.as_deref(), Some("anon" | "service_role")) {
        return Err(wrong());
    }
    let uuid = |text: &Option<String>| {
        text.as_deref()
            .and_then(|text| Uuid::try_parse(text).ok())
            .ok_or_else(wrong)
    };
    Ok(Token {
        subject: uuid(&claims.sub)?,
        // A token without a session could not be ended.
        session: uuid(&claims.session_id)?,
        email: claims.email.clone(),
        expires_s,
    })
}

/// The only algorithm that a key may be used with.
fn algorithm_of(key: &Jwk) -> Option<Algorithm> {
    match &key.algorithm {
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        _ => None,
    }
}

/// The published key with this id: from memory, or after fetching the set once. A failed fetch counts
/// too, so that tokens nobody signed cannot make us ask all the time.
async fn published_key(kid: &str, config: &Config) -> Result<Jwk> {
    let now = clock::now_ms();
    let known = KEYS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(key) = known.set.as_ref().and_then(|set| set.find(kid)) {
        return Ok(key.clone());
    }
    let unknown = || match known.set {
        Some(_) => Error::new(Code::InvalidToken),
        None => Error::unavailable("the key set could not be fetched a moment ago"),
    };
    if known
        .asked_at_ms
        .is_some_and(|asked| now - asked < COOL_DOWN_MS)
    {
        return Err(unknown());
    }
    let url = format!("{}/auth/v1/.well-known/jwks.json", config.supabase_url);
    let fetched = fetch::json::<JwkSet>(&url).await;
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    keys.asked_at_ms = Some(now);
    let set = keys.set.insert(fetched?);
    set.find(kid)
        .cloned()
        .ok_or_else(|| Code::InvalidToken.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const USER: &str = "20000000-0000-4000-8000-000000000002";

    fn check(claims: serde_json::Value) -> Result<Token> {
        let good = json!({"sub": USER, "exp": 2000, "iss": "i", "aud": "authenticated", "role": "authenticated", "session_id": USER});
        let mut merged = good.as_object().unwrap().clone();
        merged.extend(claims.as_object().unwrap().clone());
        accept(
            &serde_json::from_value(json!(merged)).unwrap(),
            "i",
            "authenticated",
            1000,
        )
    }

    #[test]
    fn a_good_token_names_its_user() {
        assert_eq!(check(json!({})).unwrap().subject.to_string(), USER);
        assert!(check(json!({"aud": ["x", "authenticated"]})).is_ok());
    }

    #[test]
    fn every_claim_counts() {
        let code = |claims| check(claims).unwrap_err().code;
        assert_eq!(code(json!({"exp": 900})), Code::TokenExpired);
        for claims in [
            json!({"exp": null}),
            json!({"nbf": 5000}),
            json!({"iss": "other"}),
            json!({"iss": null}),
            json!({"aud": "anon"}),
            json!({"aud": null}),
            json!({"sub": null}),
            json!({"sub": "not a uuid"}),
            json!({"session_id": null}),
            json!({"session_id": "x"}),
            json!({"role": "service_role"}),
            json!({"role": "anon"}),
        ] {
            assert_eq!(code(claims.clone()), Code::InvalidToken, "{claims}");
        }
    }
}
