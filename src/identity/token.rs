//! Supabase's access tokens: which key may verify one, and what must be true of its claims.
//!
//! `jsonwebtoken` reads and judges them. The algorithm is chosen by our configuration and by the key's own
//! type, never by the token alone: HS256 only with our shared secret, ES256 and RS256 only with a published
//! key of that very type.
//!
//! The library wants to verify while it is called, and WebCrypto can only be awaited. So WebCrypto is asked
//! first, and what it confirmed, this text with this signature, is the key that the library verifies with:
//! a key that fits nothing else ([`confirmed`]). Verifying with crates (`p256`, `rsa`) would add 26 KB
//! gzipped to a bundle that has no other use for them, and a millisecond to every request.

use super::signing_keys;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::platform::clock;
use crate::platform::signature::{PublicKey, Scheme};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwkUtils, JwtVerifier};
use jsonwebtoken::errors::{ErrorKind, new_error};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation};
use serde::Deserialize;
use sha2::Sha256;
use uuid::Uuid;

/// Clock difference between Supabase and us that is forgiven, in seconds.
const LEEWAY_S: u64 = 30;
/// A token longer than this is not worth parsing, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What we read of a token, besides what the library judges. Times are in seconds since the epoch and may
/// have a fraction (RFC 7519, 2).
#[derive(Debug, Deserialize)]
struct Claims {
    sub: Uuid,
    /// A token without a session could not be ended.
    session_id: Uuid,
    exp: f64,
    iat: Option<f64>,
    role: Option<String>,
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

/// Verifies a token and returns what it says.
///
/// # Errors
/// [`Code::TokenExpired`] or [`Code::InvalidToken`]; [`Code::Unavailable`] when the key set is needed
/// and cannot be fetched.
pub async fn verify(token: &str, config: &Config) -> Result<Token> {
    let (algorithm, kid) = read_header(token)?;
    let key = match algorithm {
        Algorithm::HS256 => {
            let secret = config.supabase_jwt_secret.as_ref().ok_or_else(invalid)?;
            DecodingKey::from_secret(secret.expose().as_bytes())
        }
        Algorithm::ES256 | Algorithm::RS256 => {
            let kid = kid.ok_or_else(invalid)?;
            let key = signing_keys::find(&kid, config).await?;
            if algorithm_of(key.scheme) != algorithm {
                return Err(invalid());
            }
            confirmed(token, &key).await?
        }
        _ => return Err(invalid()),
    };
    let issuer = format!("{}/auth/v1", config.supabase_url);
    judge(
        token,
        algorithm,
        &key,
        &issuer,
        &config.supabase_jwt_audience,
    )
}

fn invalid() -> Error {
    Error::new(Code::InvalidToken)
}

/// What a token says of how it was signed. One with extensions that have to be understood is refused: the
/// library reads `crit` (RFC 7515, 4.1.11) and leaves it to us.
fn read_header(token: &str) -> Result<(Algorithm, Option<String>)> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(invalid());
    }
    match jsonwebtoken::decode_header(token) {
        Ok(header) if header.crit.is_none() => Ok((header.alg, header.kid)),
        _ => Err(invalid()),
    }
}

fn algorithm_of(scheme: Scheme) -> Algorithm {
    match scheme {
        Scheme::Es256 => Algorithm::ES256,
        Scheme::Rs256 => Algorithm::RS256,
    }
}

/// A key for [`judge`] that fits this token alone, once WebCrypto has confirmed that `key` signed it.
async fn confirmed(token: &str, key: &PublicKey) -> Result<DecodingKey> {
    let (signed, signature) = token.rsplit_once('.').ok_or_else(invalid)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid())?;
    if !key.verifies(signed.as_bytes(), &signature).await? {
        return Err(invalid());
    }
    let pair = pair(signed.as_bytes(), &signature);
    Ok(match key.scheme {
        Scheme::Es256 => DecodingKey::from_ec_der(&pair),
        Scheme::Rs256 => DecodingKey::from_rsa_der(&pair),
    })
}

/// A signed text with its signature. The text has exactly one dot, so the second one ends it.
fn pair(signed: &[u8], signature: &[u8]) -> Vec<u8> {
    [signed, b".", signature].concat()
}

/// What must be true of a token, its signature first.
fn judge(
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
    issuer: &str,
    audience: &str,
) -> Result<Token> {
    // Only the first time does anything.
    let _ = ACCEPTED.install_default();
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation);
    let claims = decoded
        .map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Code::TokenExpired,
            _ => Code::InvalidToken,
        })?
        .claims;
    // One from the future was made by a clock that its other times cannot be trusted from either.
    let latest = clock::now_ms() / 1000 + LEEWAY_S as i64;
    if claims.iat.is_some_and(|issued| issued > latest as f64) {
        return Err(invalid());
    }
    // The project's anon and service keys are tokens too; they name no user.
    if matches!(claims.role.as_deref(), Some("anon" | "service_role")) {
        return Err(invalid());
    }
    Ok(Token {
        subject: claims.sub,
        session: claims.session_id,
        email: claims.email,
        expires_s: claims.exp as i64,
    })
}

/// The algorithms that the library has here: those we accept, and none to sign with.
static ACCEPTED: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::InvalidAlgorithm)),
    verifier_factory: verifier,
    jwk_utils: JwkUtils::new_unimplemented(),
};

fn verifier(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> jsonwebtoken::errors::Result<Box<dyn JwtVerifier>> {
    let DecodingKeyKind::SecretOrDer(bytes) = key.kind() else {
        return Err(new_error(ErrorKind::InvalidKeyFormat));
    };
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Hmac::new_from_slice(bytes)
            .map(|mac| Box::new(Shared(mac)) as _)
            .map_err(|_| new_error(ErrorKind::InvalidKeyFormat)),
        (Algorithm::ES256, AlgorithmFamily::Ec) | (Algorithm::RS256, AlgorithmFamily::Rsa) => {
            Ok(Box::new(Confirmed(*algorithm, bytes.clone())))
        }
        _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
    }
}

/// HS256 with the shared secret (RFC 7518, 3.2), in constant time.
struct Shared(Hmac<Sha256>);

impl Verifier<Vec<u8>> for Shared {
    fn verify(
        &self,
        signed: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        let mac = self.0.clone().chain_update(signed);
        mac.verify_slice(signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Shared {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

/// ES256 or RS256, with the [`pair`] that WebCrypto confirmed.
struct Confirmed(Algorithm, Vec<u8>);

impl Verifier<Vec<u8>> for Confirmed {
    fn verify(
        &self,
        signed: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        if self.1 == pair(signed, signature) {
            return Ok(());
        }
        Err(signature::Error::new())
    }
}

impl JwtVerifier for Confirmed {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const USER: &str = "20000000-0000-4000-8000-000000000002";
    const SECRET: &[u8] = b"a secret of the tests";

    fn now() -> i64 {
        clock::now_ms() / 1000
    }

    fn part(json: &Value) -> String {
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn signed(header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", part(header), part(claims));
        let mac = Hmac::<Sha256>::new_from_slice(SECRET)
            .unwrap()
            .chain_update(&text);
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{text}.{signature}")
    }

    /// The claims of a good token, with others instead.
    fn claims(other: Value) -> Value {
        let mut claims = json!({"sub": USER, "exp": now() + 100, "iat": now(), "iss": "i", "aud": "authenticated",
            "role": "authenticated", "session_id": USER});
        claims
            .as_object_mut()
            .unwrap()
            .extend(other.as_object().unwrap().clone());
        claims
    }

    fn with_key(token: &str, algorithm: Algorithm, key: &DecodingKey) -> Result<Token> {
        judge(token, algorithm, key, "i", "authenticated")
    }

    fn check(other: Value) -> Result<Token> {
        let token = signed(&json!({"alg": "HS256"}), &claims(other));
        with_key(&token, Algorithm::HS256, &DecodingKey::from_secret(SECRET))
    }

    #[test]
    fn a_token_has_three_parts_and_nothing_critical() {
        let good = part(&json!({"alg": "HS256", "typ": "JWT"}));
        assert!(read_header(&format!("{good}.e30.AAAA")).is_ok());
        for header in [
            json!({"alg": "HS256", "crit": ["exp"]}),
            json!({"alg": "HS256", "crit": []}),
            json!({"alg": "HS256", "crit": "exp"}),
            json!({"alg": "none"}),
            json!({"alg": "hs256"}),
            json!({"typ": "JWT"}),
        ] {
            assert!(
                read_header(&format!("{}.e30.AAAA", part(&header))).is_err(),
                "{header}"
            );
        }
        let long = format!("{good}.{}.AAAA", "A".repeat(MAX_TOKEN_BYTES));
        let more = format!("{good}.e30.AAAA.AAAA");
        for wrong in [
            good.as_str(),
            &format!("{good}.e30"),
            &more,
            &long,
            "..",
            "x",
            "",
        ] {
            assert!(read_header(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_good_token_names_its_user() {
        let token = check(json!({})).unwrap();
        assert_eq!(
            (token.subject, token.session),
            (USER.parse().unwrap(), USER.parse().unwrap())
        );
        assert!(check(json!({"aud": ["x", "authenticated"]})).is_ok());
    }

    #[test]
    fn times_may_have_a_fraction_and_clocks_may_differ_a_little() {
        let later = now() + 100;
        assert_eq!(
            check(json!({"exp": later as f64 + 0.25}))
                .unwrap()
                .expires_s,
            later
        );
        for times in [
            json!({"nbf": now() as f64 - 0.5, "iat": now() as f64 - 0.5}),
            json!({"exp": now() - 20, "nbf": now() + 20, "iat": now() + 20}),
            json!({"iat": null}),
        ] {
            assert!(check(times.clone()).is_ok(), "{times}");
        }
    }

    #[test]
    fn every_claim_counts() {
        let code = |claims| check(claims).unwrap_err().code;
        assert_eq!(code(json!({"exp": now() - 40})), Code::TokenExpired);
        assert_eq!(
            code(json!({"exp": now() as f64 - 40.5})),
            Code::TokenExpired
        );
        for claims in [
            json!({"exp": null}),
            json!({"exp": "tomorrow"}),
            json!({"exp": -1}),
            json!({"exp": 1e300}),
            json!({"nbf": now() + 40}),
            json!({"nbf": "now"}),
            json!({"iat": now() + 86_400}),
            json!({"iat": "now"}),
            json!({"iss": "other"}),
            json!({"iss": null}),
            json!({"aud": "anon"}),
            json!({"aud": ["anon"]}),
            json!({"aud": []}),
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

    #[test]
    fn a_signature_counts_for_its_text_key_and_algorithm() {
        let secret = DecodingKey::from_secret(SECRET);
        let refused = |token: &str, algorithm, key: &DecodingKey| {
            assert_eq!(
                with_key(token, algorithm, key).unwrap_err().code,
                Code::InvalidToken,
                "{token}"
            );
        };
        let good = signed(&json!({"alg": "HS256"}), &claims(json!({})));
        let other = signed(
            &json!({"alg": "HS256"}),
            &claims(json!({"email": "x@example.test"})),
        );
        let (text, _) = good.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        refused(&format!("{text}.{signature}"), Algorithm::HS256, &secret);
        refused(&format!("{text}."), Algorithm::HS256, &secret);
        refused(
            &good,
            Algorithm::HS256,
            &DecodingKey::from_secret(b"another"),
        );
        // Neither a key of another family nor an algorithm that the key is not for.
        refused(&good, Algorithm::HS256, &DecodingKey::from_ec_der(SECRET));
        refused(&good, Algorithm::ES256, &secret);
        for alg in [
            "HS384", "HS512", "ES256", "ES384", "RS256", "PS256", "EdDSA",
        ] {
            refused(
                &signed(&json!({"alg": alg}), &claims(json!({}))),
                Algorithm::HS256,
                &secret,
            );
        }
    }

    #[test]
    fn what_was_confirmed_fits_that_token_alone() {
        for (alg, algorithm) in [("ES256", Algorithm::ES256), ("RS256", Algorithm::RS256)] {
            let token =
                |email: &str| signed(&json!({"alg": alg}), &claims(json!({"email": email})));
            let key = |token: &str| {
                let (text, signature) = token.rsplit_once('.').unwrap();
                let pair = pair(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap());
                match algorithm {
                    Algorithm::ES256 => DecodingKey::from_ec_der(&pair),
                    _ => DecodingKey::from_rsa_der(&pair),
                }
            };
            let (mine, other) = (token("me@example.test"), token("you@example.test"));
            assert!(with_key(&mine, algorithm, &key(&mine)).is_ok());
            let (text, _) = mine.rsplit_once('.').unwrap();
            let (_, signature) = other.rsplit_once('.').unwrap();
            for (token, key) in [
                (&other, key(&mine)),
                (&format!("{text}.{signature}"), key(&mine)),
                (&mine, key(&mine[..mine.len() - 3])),
                (&mine, DecodingKey::from_ec_der(b"")),
                (
                    &mine,
                    DecodingKey::from_rsa_components("AA", "AQAB").unwrap(),
                ),
                (&mine, DecodingKey::from_secret(SECRET)),
            ] {
                assert!(with_key(token, algorithm, &key).is_err(), "{token}");
            }
        }
    }
}
