//! The JSON of a verdict, written by hand: it is made for every validation.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::{Code, Lang};

/// Seconds within which addresses collide.
pub const WINDOW_SECONDS: i64 = 300;

/// How grave a collision is, by the number of addresses in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "VerdictSeverity"))]
pub enum Severity {
    /// Two addresses.
    Low,
    /// Three.
    Medium,
    /// Four or five.
    High,
    /// Six or more.
    Critical,
}

impl Severity {
    /// The severity of `addresses` distinct addresses; `None` for fewer than two.
    #[must_use]
    pub const fn of(addresses: usize) -> Option<Self> {
        Some(match addresses {
            0 | 1 => return None,
            2 => Self::Low,
            3 => Self::Medium,
            4 | 5 => Self::High,
            _ => Self::Critical,
        })
    }

    /// The database's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Several addresses at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collision {
    /// How grave.
    pub severity: Severity,
    /// How many addresses in the window.
    pub addresses: usize,
}

/// A verdict with everything its JSON says.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The verdict.
    pub code: Code,
    /// Language of the reason.
    pub lang: Lang,
    /// Canonical text of the address.
    pub address: &'a str,
    /// The address holds a slot (told only when valid).
    pub bound: bool,
    /// It was given one by this validation.
    pub newly_bound: bool,
    /// The license as JSON, when valid.
    pub license: Option<&'a str>,
    /// Free slots, −1 for unlimited; `None` where it is nobody's business.
    pub remaining_ips: Option<i64>,
    /// Several addresses at once, if so.
    pub collision: Option<Collision>,
    /// The caller's nonce, returned.
    pub nonce: Option<&'a str>,
    /// When, in Unix milliseconds.
    pub now_ms: i64,
}

impl Answer<'_> {
    /// The complete `data` of the response.
    #[must_use]
    pub fn to_json(&self) -> String {
        let license = self.license.unwrap_or("null");
        let mut json = String::with_capacity(320 + license.len());
        let valid = self.code == Code::Valid;
        // Writing to a String cannot fail.
        let _ = write!(
            json,
            r#"{{"valid":{valid},"code":"{}","reason":"#,
            self.code.as_str()
        );
        push_text(&mut json, self.code.reason(self.lang));
        json.push_str(r#","license":"#);
        json.push_str(license);
        json.push_str(r#","ip":{"address":"#);
        push_text(&mut json, Some(self.address));
        let _ = write!(
            json,
            r#","bound":{},"newly_bound":{}}},"remaining_ips":"#,
            self.bound, self.newly_bound
        );
        match self.remaining_ips {
            Some(remaining) => {
                let _ = write!(json, "{remaining}");
            }
            None => json.push_str("null"),
        }
        json.push_str(r#","collision":"#);
        match self.collision {
            Some(Collision {
                severity,
                addresses,
            }) => {
                let _ = write!(
                    json,
                    r#"{{"severity":"{}","addresses":{addresses},"window_seconds":{WINDOW_SECONDS}}}"#,
                    severity.as_str()
                );
            }
            None => json.push_str("null"),
        }
        json.push_str(r#","nonce":"#);
        push_text(&mut json, self.nonce);
        let _ = write!(json, r#","checked_at":"{}"}}"#, rfc3339(self.now_ms));
        json
    }
}

/// The `data` of a refusal that needs no license: a key that is none, or one
/// that names nothing.
#[must_use]
pub fn refusal(code: Code, lang: Lang, address: &str, nonce: Option<&str>, now_ms: i64) -> String {
    Answer {
        code,
        lang,
        address,
        bound: false,
        newly_bound: false,
        license: None,
        remaining_ips: None,
        collision: None,
        nonce,
        now_ms,
    }
    .to_json()
}

/// Unix milliseconds as RFC 3339 in UTC; the epoch for times chrono cannot hold.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn push_text(json: &mut String, text: Option<&str>) {
    match text {
        // A string always serializes.
        Some(text) => json.push_str(&serde_json::to_string(text).unwrap_or_default()),
        None => json.push_str("null"),
    }
}
