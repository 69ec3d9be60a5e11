//! How a receiver knows who told it: Standard Webhooks (<https://www.standardwebhooks.com>).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SECRET_PREFIX: &str = "whsec_";

/// What deliveries are signed with: 24 to 64 bytes, written `whsec_` + base64.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// Reads the written form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The written form. Shown once, never logged.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// One signature, with its version.
    fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> Option<String> {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body.as_bytes());
        let digest = mac.finalize().into_bytes();
        Some(format!("v1,{}", STANDARD.encode(digest)))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The `webhook-signature` header: one signature for each secret.
#[must_use]
pub fn signature(secrets: &[SigningSecret], id: &str, timestamp_s: i64, body: &str) -> String {
    let signatures: Vec<_> = secrets
        .iter()
        .filter_map(|secret| secret.sign(id, timestamp_s, body))
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_known_signature() {
        // The example of the Standard Webhooks libraries.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = r#"{"test": 2432232314}"#;
        let one = signature(std::slice::from_ref(&secret), id, 1_614_265_330, body);
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = SigningSecret::new([7; 32]);
        let both = signature(&[other.clone(), secret], id, 1_614_265_330, body);
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(&one));
        assert_eq!(SigningSecret::parse(&other.expose()), Some(other));
    }

    #[test]
    fn secrets_have_24_to_64_bytes() {
        for (length, valid) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            let text = SigningSecret(vec![1; length]).expose();
            assert_eq!(SigningSecret::parse(&text).is_some(), valid, "{length}");
        }
        assert!(SigningSecret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert_eq!(
            format!("{:?}", SigningSecret::new([1; 32])),
            "SigningSecret(…)"
        );
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".*") {
            let _ = SigningSecret::parse(&text);
        }
    }
}
