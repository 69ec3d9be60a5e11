//! Signatures made elsewhere, checked by the platform's own WebCrypto: faster than any code of ours in
//! wasm, and without its bytes.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
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

/// The public part of a published key (RFC 7517), of the types that are of use here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublicKey {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
}

impl PublicKey {
    /// The only scheme that the key may be used with.
    pub fn scheme(&self) -> Option<Scheme> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => Some(Scheme::Es256),
            ("RSA", _) => Some(Scheme::Rs256),
            _ => None,
        }
    }

    /// Whether `signature` over `message` is this key's. A key that is none verifies nothing.
    ///
    /// # Errors
    /// When the platform has no WebCrypto.
    pub async fn verifies(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<bool> {
        let key = serde_json::to_string(self).map_err(Error::internal)?;
        let (message, signature) = (message.to_vec(), signature.to_vec());
        worker::send::SendFuture::new(async move {
            let crypto = Reflect::get(&global(), &"crypto".into());
            let crypto: Crypto = crypto.map_err(|_| unsupported())?.unchecked_into();
            let checked = check(&crypto, scheme, &key, &message, &signature).await;
            Ok(checked.is_ok_and(|answer| answer.is_truthy()))
        })
        .await
    }
}

async fn check(
    crypto: &Crypto,
    scheme: Scheme,
    key: &str,
    message: &[u8],
    signature: &[u8],
) -> std::result::Result<JsValue, JsValue> {
    let algorithm = JSON::parse(match scheme {
        Scheme::Es256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
        Scheme::Rs256 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
    })?
    .unchecked_into();
    let subtle = crypto.subtle();
    let key = JSON::parse(key)?.unchecked_into();
    let uses = Array::of1(&"verify".into());
    let importing = subtle.import_key_with_object("jwk", &key, &algorithm, false, &uses)?;
    let key: CryptoKey = JsFuture::from(importing).await?.unchecked_into();
    let (signature, message) = (Uint8Array::from(signature), Uint8Array::from(message));
    let verifying = subtle.verify_with_object_and_buffer_source_and_buffer_source(
        &algorithm, &key, &signature, &message,
    )?;
    JsFuture::from(verifying).await
}

fn unsupported() -> Error {
    Error::internal("the platform has no WebCrypto")
}
