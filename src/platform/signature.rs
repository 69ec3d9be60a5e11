//! Signatures made elsewhere, checked by the platform's own WebCrypto: faster than any code of ours in
//! wasm, and without its bytes.

use crate::error::{Error, Result};
use celaest_domain::json;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::OnceCell;
use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys::{Array, JSON, Reflect, Uint8Array, futures::JsFuture, global};
use worker::web_sys::{Crypto, CryptoKey};

/// How signatures of a key are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// ECDSA over P-256 with SHA-256 (RFC 7518, 3.4).
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3).
    Rs256,
}

/// A published key (RFC 7517) of a type that is of use here.
#[derive(Debug)]
pub struct PublicKey {
    /// The only scheme that the key may be used with.
    pub scheme: Scheme,
    jwk: Box<RawValue>,
    imported: OnceCell<CryptoKey>,
}

impl PublicKey {
    /// Reads a published key and its id; none for one without an id, or of a type we have no use for.
    pub fn read(jwk: &RawValue) -> Option<(String, Self)> {
        #[derive(Deserialize)]
        struct Jwk {
            kid: String,
            kty: String,
            crv: Option<String>,
        }
        let Jwk { kid, kty, crv } = json::parse(jwk.get()).ok()?;
        let scheme = match (kty.as_str(), crv.as_deref()) {
            ("EC", Some("P-256")) => Scheme::Es256,
            ("RSA", _) => Scheme::Rs256,
            _ => return None,
        };
        let key = Self {
            scheme,
            jwk: jwk.to_owned(),
            imported: OnceCell::new(),
        };
        Some((kid, key))
    }

    /// Whether it was published in the same words.
    pub fn is(&self, other: &Self) -> bool {
        self.jwk.get() == other.jwk.get()
    }

    /// Whether `signature` over `message` is this key's. A key that is none, or one that was published for
    /// another use, verifies nothing.
    ///
    /// # Errors
    /// When the platform has no WebCrypto.
    pub async fn verifies(&self, message: &[u8], signature: &[u8]) -> Result<bool> {
        let crypto = Reflect::get(&global(), &"crypto".into());
        let crypto: Crypto = crypto
            .and_then(JsCast::dyn_into)
            .map_err(|_| Error::internal("the platform has no WebCrypto"))?;
        let checked = self.check(&crypto, message, signature).await;
        Ok(checked.is_ok_and(|answer| answer.is_truthy()))
    }

    async fn check(
        &self,
        crypto: &Crypto,
        message: &[u8],
        signature: &[u8],
    ) -> std::result::Result<JsValue, JsValue> {
        let subtle = crypto.subtle();
        let algorithm = JSON::parse(match self.scheme {
            Scheme::Es256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
            Scheme::Rs256 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
        })?
        .unchecked_into();
        let key = match self.imported.get() {
            Some(key) => key,
            None => {
                // With its `use`, `alg` and `key_ops`, which the platform heeds.
                let jwk = JSON::parse(self.jwk.get())?.unchecked_into();
                let uses = Array::of1(&"verify".into());
                let importing =
                    subtle.import_key_with_object("jwk", &jwk, &algorithm, false, &uses)?;
                let key = JsFuture::from(importing).await?.unchecked_into();
                self.imported.get_or_init(|| key)
            }
        };
        let (signature, message) = (Uint8Array::from(signature), Uint8Array::from(message));
        let verifying = subtle.verify_with_object_and_buffer_source_and_buffer_source(
            &algorithm, key, &signature, &message,
        )?;
        JsFuture::from(verifying).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_of_other_types_are_passed_over() {
        let read = |jwk: serde_json::Value| {
            let jwk = RawValue::from_string(jwk.to_string()).unwrap();
            PublicKey::read(&jwk).map(|(kid, key)| (kid, key.scheme))
        };
        for of_no_use in [
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "a"}),
            json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "a"}),
            json!({"kty": "oct", "k": "AA", "kid": "a"}),
            json!({"kty": "RSA", "n": "AA", "e": "AQAB"}),
            json!({"kty": "RSA", "n": "AA", "e": "AQAB", "kid": 1}),
            json!(["kty"]),
        ] {
            assert_eq!(read(of_no_use.clone()), None, "{of_no_use}");
        }
        let ec =
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "c", "use": "sig"});
        assert_eq!(read(ec), Some(("c".into(), Scheme::Es256)));
        let rsa = json!({"kty": "RSA", "n": "AA", "e": "AQAB", "kid": "r"});
        assert_eq!(read(rsa), Some(("r".into(), Scheme::Rs256)));
    }
}
