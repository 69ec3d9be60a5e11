//! What must not stand in a log that nobody can take anything out of again.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use crate::webhook::shown_url;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// The ends of names whose values are secrets, in English and Spanish, without accents and what separates words.
const SECRET: [&str; 37] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "apikey",
    "privatekey",
    "secretkey",
    "accesskey",
    "signingkey",
    "licensekey",
    "keyhash",
    "contrasena",
    "contrasenas",
    "contrasenia",
    "contrasenya",
    "clave",
    "claves",
    "claveapi",
    "clavedeapi",
    "clavesecreta",
    "claveprivada",
    "clavedeacceso",
    "clavedefirma",
    "clavedelicencia",
    "frasedeacceso",
    "secreto",
    "secretos",
    "secreta",
    "credencial",
    "credenciales",
    "autorizacion",
];

/// The same of many: a number under such a name says how many there are.
const SECRETS: [&str; 9] = [
    "passwords",
    "passphrases",
    "secrets",
    "cookies",
    "apikeys",
    "privatekeys",
    "secretkeys",
    "accesskeys",
    "licensekeys",
];

/// An object without secrets, at every depth: values whose name says that they are one, or is one of `secret`,
/// and the parts of addresses that hold one.
#[must_use]
pub fn redacted_fields(fields: &Map<String, Value>, secret: &[&str]) -> Map<String, Value> {
    let redact = |(name, value): (&String, &Value)| (name.clone(), redacted(name, value, secret));
    fields.iter().map(redact).collect()
}

/// [`redacted_fields`] for one field.
#[must_use]
pub fn redacted(key: &str, value: &Value, secret: &[&str]) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        _ if secret.contains(&key) || ends(key, &SECRET) => Value::from(REDACTED),
        _ if !value.is_number() && ends(key, &SECRETS) => Value::from(REDACTED),
        Value::String(text) if is_address(key) && text.contains("://") => shown_url(text).into(),
        Value::Object(fields) => Value::Object(redacted_fields(fields, secret)),
        // What is in a list goes by the list's name.
        Value::Array(items) => items
            .iter()
            .map(|item| redacted(key, item, secret))
            .collect(),
        Value::String(_) | Value::Number(_) => value.clone(),
    }
}

fn words(key: &str) -> String {
    // An accent is a character of its own then, and no word differs by it alone.
    key.nfd()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn ends(key: &str, with: &[&str]) -> bool {
    let words = words(key);
    with.iter().any(|end| words.ends_with(end))
}

fn is_address(key: &str) -> bool {
    ends(key, &["url", "uri"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_found_at_every_depth() {
        let row = json!({
            "password": null, "require_token": true, "tokens_used": 7, "previous_secret_expires_at": "2026",
            "metadata": {"password": "x", "db": [{"apiKey": "x", "user": "u"}], "Client-Secret": 1, "tokens": ["a"]},
            "url": "https://u:p@example.com/a?token=x", "callbackUri": "/a?b", "plain": "x",
        });
        assert_eq!(
            redacted("", &row, &["plain"]),
            json!({
                "password": null, "require_token": true, "tokens_used": 7, "previous_secret_expires_at": "2026",
                "metadata": {"password": "[redacted]", "db": [{"apiKey": "[redacted]", "user": "u"}],
                    "Client-Secret": "[redacted]", "tokens": ["a"]},
                "url": "https://example.com/a?…", "callbackUri": "/a?b", "plain": "[redacted]",
            })
        );
        for name in [
            "passwords",
            "client_secrets",
            "licenseKeys",
            "contraseña",
            "Contrasen\u{303}a_nueva_contraseña",
            "CLAVE_API",
            "clave-secreta",
            "secreto",
            "Autorización",
        ] {
            assert_eq!(redacted(name, &json!("x"), &[]), REDACTED, "{name}");
        }
        for name in ["clave_producto", "palabras", "contrato"] {
            assert_eq!(redacted(name, &json!("x"), &[]), "x", "{name}");
        }
        assert_eq!(redacted("API-Keys", &json!({"a": "x"}), &[]), REDACTED);
        assert_eq!(redacted("api_keys", &json!(7), &[]), 7);
        assert_eq!(redacted("plain", &json!(7), &["plain"]), REDACTED);
    }
}
