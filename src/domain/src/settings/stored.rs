//! What is stored of the settings.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Key;
use crate::license;

/// What is stored, by key; whatever is unknown or not what it must be counts as
/// not stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stored(Map<String, Value>);

impl Stored {
    /// The value under `key`, or its default.
    #[must_use]
    pub fn get(&self, key: Key) -> Value {
        self.own(key)
            .cloned()
            .unwrap_or_else(|| key.default_value())
    }

    /// Whatever is stored under `key`, nonsense included.
    #[must_use]
    pub fn raw(&self, key: Key) -> Option<&Value> {
        self.0.get(key.as_str())
    }

    /// The value under `key`, if one is stored that can be used. A sensitive one
    /// is whatever it was sealed as.
    #[must_use]
    pub fn own(&self, key: Key) -> Option<&Value> {
        self.raw(key)
            .filter(|value| key.is_sensitive() || key.kind().fits(value))
    }

    /// Whether `value` under `key` would change anything; null takes away what is stored. A sensitive one
    /// always does: it is not opened to be compared.
    #[must_use]
    pub fn would_change(&self, key: Key, value: &Value) -> bool {
        match self.raw(key) {
            Some(_) if key.is_sensitive() => true,
            old => old.unwrap_or(&Value::Null) != value,
        }
    }

    /// What licenses without an own rule go by.
    #[must_use]
    pub fn licenses(&self) -> license::Settings {
        let source = self.get(Key::LicenseAddressSource);
        license::Settings {
            address_source: source
                .as_str()
                .and_then(license::AddressSource::parse)
                .unwrap_or_default(),
            collision_threshold: self.number(Key::LicenseCollisionThreshold),
            collision_auto_revoke: self.flag(Key::LicenseCollisionAutoRevoke),
        }
    }

    /// Days after which lines of the validation log are thrown away.
    #[must_use]
    pub fn validation_retention_days(&self) -> u32 {
        self.number(Key::LicenseValidationRetentionDays)
    }

    /// Requests a minute; `None` when the deployment decides.
    #[must_use]
    pub fn rate_limit_per_min(&self) -> Option<u32> {
        self.own(Key::ApiRateLimitPerMin).and_then(number)
    }

    /// API keys that one user may have.
    #[must_use]
    pub fn api_keys_per_user(&self) -> u32 {
        self.number(Key::ApiKeysMaxPerUser)
    }

    /// Requests a minute that an API key may be given, where the plan says nothing.
    #[must_use]
    pub fn api_key_rate_per_min(&self) -> u32 {
        self.number(Key::ApiKeysMaxRatePerMin)
    }

    /// Whether telemetry is taken in.
    #[must_use]
    pub fn telemetry_enabled(&self) -> bool {
        self.flag(Key::TelemetryEnabled)
    }

    /// Webhooks that one organization may have.
    #[must_use]
    pub fn webhooks_per_organization(&self) -> u32 {
        self.number(Key::WebhooksMaxPerOrganization)
    }

    /// The sender of e-mail; `None` when the deployment decides.
    #[must_use]
    pub fn email_from(&self) -> Option<&str> {
        self.own(Key::EmailFrom).and_then(Value::as_str)
    }

    /// Where e-mail is handed over; `None` when the deployment decides.
    #[must_use]
    pub fn email_api_url(&self) -> Option<&str> {
        self.own(Key::EmailApiUrl).and_then(Value::as_str)
    }

    /// The key of the e-mail provider, sealed; `None` when the deployment decides.
    #[must_use]
    pub fn email_api_key(&self) -> Option<&Value> {
        self.own(Key::EmailApiKey)
    }

    fn number(&self, key: Key) -> u32 {
        number(&self.get(key)).unwrap_or_default()
    }

    fn flag(&self, key: Key) -> bool {
        self.get(key).as_bool().unwrap_or_default()
    }
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}
