//! Supabase's access tokens: which key may verify one, and what must be true of its claims.
//!
//! The algorithm is chosen by our configuration and by the key's own type, never by the token alone:
//! HS256 only with our shared secret, ES256/RS256 only with a published key of that very type.

use crate::config::{Config, Secret};
use crate::error::{Code, Error, Result};
use crate::platform::signature::{PublicKey, Scheme};
use crate::platform::{clock, fetch};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::Sha256;
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

/// A signed token in its parts (RFC 7515, 7.1).
struct Parts<'a> {
    header: Header,
    /// What the signature is over.
    signed: &'a str,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

/// What we read of a token's header. A token with extensions that have to be understood is refused.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self> {
        let (signed, signature) = token.rsplit_once('.').ok_or_else(invalid)?;
        let (header, claims) = signed.split_once('.').ok_or_else(invalid)?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid());
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| invalid())?;
        if header.crit.is_some() {
            return Err(invalid());
        }
        Ok(Self {
            header,
            signed,
            claims: bytes(claims)?,
            signature: bytes(signature)?,
        })
    }
}

/// The document with the published keys. Keys of types we have no use for are in it too.
#[derive(Clone, Deserialize)]
struct KeySet {
    keys: Vec<PublishedKey>,
}

#[derive(Clone, Deserialize)]
struct PublishedKey {
    kid: Option<String>,
    #[serde(flatten)]
    key: PublicKey,
}

impl KeySet {
    fn find(&self, kid: &str) -> Option<PublicKey> {
        let found = self.keys.iter().find(|key| key.kid.as_deref() == Some(kid));
        found.map(|found| found.key.clone())
    }
}

/// The published keys as this isolate knows them.
#[derive(Clone)]
struct Keys {
    asked_at_ms: Option<i64>,
    set: Option<KeySet>,
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
    let parts = Parts::split(token)?;
    let genuine = match parts.header.alg.as_str() {
        "HS256" => {
            let secret = config.supabase_jwt_secret.as_ref().ok_or_else(invalid)?;
            is_ours(secret, parts.signed, &parts.signature)
        }
        "ES256" | "RS256" => {
            let kid = parts.header.kid.as_deref().ok_or_else(invalid)?;
            let key = published_key(kid, config).await?;
            let scheme = match parts.header.alg.as_str() {
                "ES256" => Scheme::Es256,
                _ => Scheme::Rs256,
            };
            let signed = parts.signed.as_bytes();
            key.scheme() == Some(scheme) && key.verifies(scheme, signed, &parts.signature).await?
        }
        _ => false,
    };
    if !genuine {
        return Err(invalid());
    }
    let claims = serde_json::from_slice(&parts.claims).map_err(|_| invalid())?;
    accept(
        &claims,
        &format!("{}/auth/v1", config.supabase_url),
        &config.supabase_jwt_audience,
        now_s,
    )
}

fn invalid() -> Error {
    Error::new(Code::InvalidToken)
}

/// Whether the signature is one with the shared secret (RFC 7518, 3.2), in constant time.
fn is_ours(secret: &Secret, signed: &str, signature: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).is_ok_and(|mut mac| {
        mac.update(signed.as_bytes());
        mac.verify_slice(signature).is_ok()
    })
}

/// What must be true of a token whose signature is good.
fn accept(claims: &Claims, issuer: &str, audience: &str, now_s: i64) -> Result<Token> {
    let wrong = invalid;
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

/// The published key with this id: from memory, or after fetching the set once. A failed fetch counts
/// too, so that tokens nobody signed cannot make us ask all the time.
async fn published_key(kid: &str, config: &Config) -> Result<PublicKey> {
    let now = clock::now_ms();
    let known = KEYS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(key) = known.set.as_ref().and_then(|set| set.find(kid)) {
        return Ok(key);
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
    let fetched = fetch::json::<KeySet>(&url).await;
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    keys.asked_at_ms = Some(now);
    let set = keys.set.insert(fetched?);
    set.find(kid).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_has_three_parts_and_nothing_critical() {
        let encode = |header: serde_json::Value| URL_SAFE_NO_PAD.encode(header.to_string());
        let good = encode(json!({"alg": "HS256", "typ": "JWT"}));
        assert!(Parts::split(&format!("{good}.e30.AAAA")).is_ok());
        let critical = encode(json!({"alg": "HS256", "crit": ["exp"]}));
        for wrong in [
            format!("{good}.e30"),
            format!("{good}.e30.AAAA.AAAA"),
            format!("{good}.e30.AA=="),
            format!("{critical}.e30.AAAA"),
            "..".into(),
            String::new(),
        ] {
            assert!(Parts::split(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_of_other_types_are_passed_over() {
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "a"},
            {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "b"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "c", "use": "sig"},
            {"kty": "RSA", "n": "AA", "e": "AQAB"},
        ]});
        let set: KeySet = serde_json::from_value(set).unwrap();
        let scheme = |kid| set.find(kid).and_then(|key| key.scheme());
        assert_eq!(scheme("a"), None);
        assert_eq!(scheme("b"), None);
        assert_eq!(scheme("c"), Some(Scheme::Es256));
        assert!(set.find("d").is_none());
    }

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
