//! The settings of the whole system: which there are, what each may be, and
//! what counts when nothing, or nonsense, is stored.

mod stored;

use serde_json::Value;

use crate::email::is_email;
use crate::vault::{NONCE, Vault};
use crate::{egress, license};

pub use stored::Stored;

/// A setting, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// `license.collision_threshold`
    LicenseCollisionThreshold,
    /// `license.collision_auto_revoke`
    LicenseCollisionAutoRevoke,
    /// `license.address_source`
    LicenseAddressSource,
    /// `license.validation_retention_days`
    LicenseValidationRetentionDays,
    /// `api.rate_limit_per_min`
    ApiRateLimitPerMin,
    /// `api_keys.max_per_user`
    ApiKeysMaxPerUser,
    /// `api_keys.max_rate_per_min`
    ApiKeysMaxRatePerMin,
    /// `telemetry.enabled`
    TelemetryEnabled,
    /// `telemetry.retention_days`
    TelemetryRetentionDays,
    /// `webhooks.max_per_organization`
    WebhooksMaxPerOrganization,
    /// `sessions.retention_days`
    SessionsRetentionDays,
    /// `system_events.retention_days`
    SystemEventsRetentionDays,
    /// `tasks.retention_days`
    TasksRetentionDays,
    /// `webhooks.retention_days`
    WebhooksRetentionDays,
    /// `downloads.retention_days`
    DownloadsRetentionDays,
    /// `coupons.retention_days`
    CouponsRetentionDays,
    /// `payment_events.retention_days`
    PaymentEventsRetentionDays,
    /// `analytics.manual_minutes_per_task`
    AnalyticsManualMinutesPerTask,
    /// `analytics.hourly_rate_usd`
    AnalyticsHourlyRateUsd,
    /// `analytics.infrastructure_cost_usd_per_month`
    AnalyticsInfrastructureCostUsdPerMonth,
    /// `analytics.quarters_kept_months`
    AnalyticsQuartersKeptMonths,
    /// `email.from`
    EmailFrom,
    /// `email.api_url`
    EmailApiUrl,
    /// `email.api_key`
    EmailApiKey,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within bounds, both included.
    Integer {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// On or off.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text of one line that is not empty.
    Text {
        /// Characters at most.
        max: usize,
    },
    /// The address of a service.
    HttpsUrl,
    /// An e-mail address.
    Email,
}

impl Kind {
    /// The name that the API shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Integer { .. } => "integer",
            Self::Boolean => "boolean",
            Self::Choice(_) => "choice",
            Self::Text { .. } => "text",
            Self::HttpsUrl => "https_url",
            Self::Email => "email",
        }
    }

    /// Whether `value` is one.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence that begins with the key.
    pub fn check(self, value: &Value) -> Result<(), String> {
        if self.fits(value) {
            return Ok(());
        }
        Err(match self {
            Self::Integer { min, max } => format!("must be a whole number from {min} to {max}"),
            Self::Boolean => "must be true or false".to_owned(),
            Self::Choice(words) => format!("must be one of: {}", words.join(", ")),
            Self::Text { max } => {
                format!("must be 1 to {max} characters on one line, without spaces around them")
            }
            Self::HttpsUrl => {
                "must be a public https address, such as https://api.example.com/emails".to_owned()
            }
            Self::Email => "must be an e-mail address".to_owned(),
        })
    }

    fn fits(self, value: &Value) -> bool {
        let text = |right: &dyn Fn(&str) -> bool| value.as_str().is_some_and(right);
        match self {
            Self::Integer { min, max } => value
                .as_u64()
                .is_some_and(|number| (u64::from(min)..=u64::from(max)).contains(&number)),
            Self::Boolean => value.is_boolean(),
            Self::Choice(words) => text(&|text| words.contains(&text)),
            Self::Text { max } => text(&|text| {
                (1..=max).contains(&text.chars().count())
                    && text.trim() == text
                    && text.chars().all(crate::contact::is_seen)
            }),
            Self::HttpsUrl => text(&|text| egress::check(text, false).is_ok()),
            Self::Email => text(&is_email),
        }
    }
}

impl Key {
    /// Every setting, in the order they are shown.
    pub const ALL: [Self; 24] = [
        Self::AnalyticsHourlyRateUsd,
        Self::AnalyticsInfrastructureCostUsdPerMonth,
        Self::AnalyticsManualMinutesPerTask,
        Self::AnalyticsQuartersKeptMonths,
        Self::ApiRateLimitPerMin,
        Self::ApiKeysMaxPerUser,
        Self::ApiKeysMaxRatePerMin,
        Self::CouponsRetentionDays,
        Self::DownloadsRetentionDays,
        Self::EmailApiKey,
        Self::EmailApiUrl,
        Self::EmailFrom,
        Self::LicenseAddressSource,
        Self::LicenseCollisionAutoRevoke,
        Self::LicenseCollisionThreshold,
        Self::LicenseValidationRetentionDays,
        Self::PaymentEventsRetentionDays,
        Self::SessionsRetentionDays,
        Self::SystemEventsRetentionDays,
        Self::TasksRetentionDays,
        Self::TelemetryEnabled,
        Self::TelemetryRetentionDays,
        Self::WebhooksMaxPerOrganization,
        Self::WebhooksRetentionDays,
    ];

    /// The setting with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LicenseCollisionThreshold => "license.collision_threshold",
            Self::LicenseCollisionAutoRevoke => "license.collision_auto_revoke",
            Self::LicenseAddressSource => "license.address_source",
            Self::LicenseValidationRetentionDays => "license.validation_retention_days",
            Self::ApiRateLimitPerMin => "api.rate_limit_per_min",
            Self::ApiKeysMaxPerUser => "api_keys.max_per_user",
            Self::ApiKeysMaxRatePerMin => "api_keys.max_rate_per_min",
            Self::TelemetryEnabled => "telemetry.enabled",
            Self::TelemetryRetentionDays => "telemetry.retention_days",
            Self::WebhooksMaxPerOrganization => "webhooks.max_per_organization",
            Self::SessionsRetentionDays => "sessions.retention_days",
            Self::SystemEventsRetentionDays => "system_events.retention_days",
            Self::TasksRetentionDays => "tasks.retention_days",
            Self::WebhooksRetentionDays => "webhooks.retention_days",
            Self::DownloadsRetentionDays => "downloads.retention_days",
            Self::CouponsRetentionDays => "coupons.retention_days",
            Self::PaymentEventsRetentionDays => "payment_events.retention_days",
            Self::AnalyticsManualMinutesPerTask => "analytics.manual_minutes_per_task",
            Self::AnalyticsHourlyRateUsd => "analytics.hourly_rate_usd",
            Self::AnalyticsInfrastructureCostUsdPerMonth => {
                "analytics.infrastructure_cost_usd_per_month"
            }
            Self::AnalyticsQuartersKeptMonths => "analytics.quarters_kept_months",
            Self::EmailFrom => "email.from",
            Self::EmailApiUrl => "email.api_url",
            Self::EmailApiKey => "email.api_key",
        }
    }

    /// What it may be.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::LicenseCollisionThreshold => Kind::Integer { min: 1, max: 1_000 },
            Self::ApiRateLimitPerMin | Self::ApiKeysMaxRatePerMin => Kind::Integer {
                min: 1,
                max: 100_000,
            },
            Self::TelemetryRetentionDays
            | Self::LicenseValidationRetentionDays
            | Self::SessionsRetentionDays
            | Self::SystemEventsRetentionDays
            | Self::TasksRetentionDays
            | Self::DownloadsRetentionDays
            | Self::CouponsRetentionDays
            | Self::PaymentEventsRetentionDays
            | Self::WebhooksRetentionDays => Kind::Integer { min: 1, max: 3_650 },
            Self::LicenseAddressSource => Kind::Choice(&license::AddressSource::NAMES),
            Self::ApiKeysMaxPerUser | Self::WebhooksMaxPerOrganization => {
                Kind::Integer { min: 0, max: 1_000 }
            }
            Self::LicenseCollisionAutoRevoke | Self::TelemetryEnabled => Kind::Boolean,
            Self::AnalyticsManualMinutesPerTask => Kind::Integer { min: 0, max: 1_440 },
            Self::AnalyticsHourlyRateUsd => Kind::Integer {
                min: 0,
                max: 10_000,
            },
            Self::AnalyticsInfrastructureCostUsdPerMonth => Kind::Integer {
                min: 0,
                max: 10_000_000,
            },
            Self::AnalyticsQuartersKeptMonths => Kind::Integer { min: 2, max: 240 },
            Self::EmailFrom => Kind::Email,
            Self::EmailApiUrl => Kind::HttpsUrl,
            Self::EmailApiKey => Kind::Text { max: 500 },
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::LicenseCollisionThreshold => {
                "More collisions than this within 24 hours suspend a license, where auto revoke is on"
            }
            Self::LicenseCollisionAutoRevoke => {
                "Whether too many collisions suspend a license without a person deciding"
            }
            Self::LicenseAddressSource => {
                "Which address of a validation counts: reported (the one it names) or connection"
            }
            Self::LicenseValidationRetentionDays => {
                "Days after which lines of the validation log are thrown away, month by month"
            }
            Self::ApiRateLimitPerMin => "Requests a minute for a caller without a limit of its own",
            Self::ApiKeysMaxPerUser => "API keys that one user may have at a time",
            Self::ApiKeysMaxRatePerMin => {
                "Requests a minute that an API key may be given, where the plan says nothing"
            }
            Self::TelemetryEnabled => "Whether telemetry is taken in",
            Self::TelemetryRetentionDays => "Days after which telemetry is deleted",
            Self::WebhooksMaxPerOrganization => "Webhooks that one organization may have at a time",
            Self::SessionsRetentionDays => "Days after which sign-ins that nobody uses are deleted",
            Self::SystemEventsRetentionDays => "Days after which events of the system are deleted",
            Self::TasksRetentionDays => "Days after which AI tasks are deleted",
            Self::WebhooksRetentionDays => {
                "Days after which the log of webhook deliveries is deleted"
            }
            Self::DownloadsRetentionDays => "Days after which the log of downloads is deleted",
            Self::CouponsRetentionDays => {
                "Days after which uses of coupons are deleted that count for nothing any more"
            }
            Self::PaymentEventsRetentionDays => {
                "Days after which events of payment gateways that were dealt with are deleted"
            }
            Self::AnalyticsManualMinutesPerTask => {
                "Minutes that a person needs for what one AI task does"
            }
            Self::AnalyticsHourlyRateUsd => "What an hour of that person costs, in US dollars",
            Self::AnalyticsInfrastructureCostUsdPerMonth => {
                "What running everything costs in a month beside AI, in US dollars"
            }
            Self::AnalyticsQuartersKeptMonths => {
                "Months after which sums by quarter of an hour are deleted, and those by hour and day are left"
            }
            Self::EmailFrom => "The sender of e-mail",
            Self::EmailApiUrl => "Where e-mail is handed over to its provider",
            Self::EmailApiKey => "The key of the e-mail provider",
        }
    }

    /// Whether it is stored sealed and never shown.
    #[must_use]
    pub const fn is_sensitive(self) -> bool {
        matches!(self, Self::EmailApiKey)
    }

    /// What counts when nothing is stored. Null: nothing, or what the
    /// deployment's own variables say.
    #[must_use]
    pub fn default_value(self) -> Value {
        match self {
            Self::LicenseCollisionThreshold => {
                license::Settings::default().collision_threshold.into()
            }
            Self::LicenseCollisionAutoRevoke => {
                license::Settings::default().collision_auto_revoke.into()
            }
            Self::LicenseAddressSource => license::AddressSource::NAMES[0].into(),
            Self::LicenseValidationRetentionDays => 365.into(),
            Self::TelemetryEnabled => true.into(),
            Self::TelemetryRetentionDays
            | Self::SessionsRetentionDays
            | Self::SystemEventsRetentionDays
            | Self::WebhooksRetentionDays => 90.into(),
            Self::TasksRetentionDays
            | Self::DownloadsRetentionDays
            | Self::CouponsRetentionDays
            | Self::PaymentEventsRetentionDays => 730.into(),
            Self::AnalyticsManualMinutesPerTask => 15.into(),
            Self::AnalyticsHourlyRateUsd => 25.into(),
            Self::AnalyticsInfrastructureCostUsdPerMonth => 0.into(),
            Self::AnalyticsQuartersKeptMonths => 25.into(),
            Self::ApiKeysMaxPerUser | Self::WebhooksMaxPerOrganization => 20.into(),
            Self::ApiKeysMaxRatePerMin => 1_000.into(),
            Self::ApiRateLimitPerMin | Self::EmailFrom | Self::EmailApiUrl | Self::EmailApiKey => {
                Value::Null
            }
        }
    }
}

/// Whether `value` may be stored under `key`.
///
/// # Errors
/// What is wrong with it, for the caller.
pub fn check(key: Key, value: &Value) -> Result<(), String> {
    key.kind().check(value)
}

/// Seals the sensitive value of `key`; it opens for no other key. `None` when it
/// cannot be sealed.
#[must_use]
pub fn seal(vault: &Vault, key: Key, text: &str, nonce: [u8; NONCE]) -> Option<Value> {
    vault.seal_text(text, key.as_str().as_bytes(), nonce)
}

/// Opens what [`seal`] made. `None` when the vault lacks its key, or anything
/// was changed.
#[must_use]
pub fn open(vault: &Vault, key: Key, stored: &Value) -> Option<String> {
    vault.open_text(stored, key.as_str().as_bytes())
}

#[cfg(test)]
mod tests;
