//! What travels between the worker, the object and the queue.

use std::borrow::Cow;

use celaest_domain::address::AddressKey;
use celaest_domain::license::{Lang, Settings, Severity};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::caller::Decision;

/// One validation, as the worker passes it on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check<'a> {
    /// The address that counts, in canonical text.
    pub ip: &'a str,
    /// The address of the connection, in canonical text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_ip: Option<&'a str>,
    /// Whatever the program tells of its device; only logged.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub device_info: Option<&'a RawValue>,
    /// The program's name of its machine; only logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<Cow<'a, str>>,
    /// Its host name; only logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Cow<'a, str>>,
    /// Returned as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Cow<'a, str>>,
    /// User-Agent header; only logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Cow<'a, str>>,
    /// Language of the reason.
    #[serde(default)]
    pub lang: Lang,
    /// Validations of this license per minute; 0 for no limit.
    #[serde(default)]
    pub limit_per_minute: u32,
    /// Age at which a snapshot is read again, in seconds.
    pub snapshot_ttl_s: u32,
    /// The system's settings as the worker knows them; a snapshot can be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<CurrentSettings>,
    /// The answer to an earlier [`Answer::NeedSnapshot`].
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub supply: Option<Supply<'a>>,
}

/// The system's settings and when they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentSettings {
    /// For licenses without a rule of their own.
    pub values: Settings,
    /// In Unix milliseconds. What is newer than the snapshot counts before it.
    pub read_at: i64,
}

/// What the worker found in Postgres.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supply<'a> {
    /// The license, as the JSON Postgres made.
    Data {
        /// The token of the request for it.
        token: u64,
        /// A [`celaest_domain::license::Snapshot`].
        #[serde(borrow)]
        data: &'a RawValue,
    },
    /// No such license.
    Missing {
        /// The token of the request for it.
        token: u64,
    },
    /// Postgres could not be asked.
    Unavailable,
}

/// The object's answer to a [`Check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The complete `data` of the response, as JSON.
    Verdict(String),
    /// Read the license and call again with this token.
    NeedSnapshot {
        /// Ties what is read to this request: changed by every `forget` and
        /// every snapshot installed.
        token: u64,
    },
    /// Too many validations of this license.
    Limited(Decision),
    /// Neither Postgres nor a snapshot young enough.
    Unavailable,
}

impl Answer {
    /// The answer as it travels: a verdict as it is, anything else as a word and what belongs to it.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Verdict(data) => data,
            Self::NeedSnapshot { token } => format!("need {token}"),
            Self::Limited(decision) => {
                format!(
                    "limited {} {} {}",
                    decision.limit, decision.remaining, decision.reset_s
                )
            }
            Self::Unavailable => "unavailable".to_owned(),
        }
    }

    /// The other side of [`Answer::into_text`].
    pub(super) fn from_text(text: String) -> Option<Self> {
        if text.starts_with('{') {
            return Some(Self::Verdict(text));
        }
        let mut words = text.split(' ');
        match words.next()? {
            "need" => words
                .next()?
                .parse()
                .ok()
                .map(|token| Self::NeedSnapshot { token }),
            "limited" => {
                let mut numbers = words.map(str::parse);
                Some(Self::Limited(Decision {
                    allowed: false,
                    limit: numbers.next()?.ok()?,
                    remaining: numbers.next()?.ok()?,
                    reset_s: numbers.next()?.ok()?,
                }))
            }
            "unavailable" => Some(Self::Unavailable),
            _ => None,
        }
    }
}

/// A slot asked for by a manual bind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReserveRequest<'a> {
    /// Id the binding's row will have.
    pub binding_id: Uuid,
    /// The address, in canonical text.
    pub ip: &'a str,
    /// Age at which a snapshot is read again, in seconds.
    pub snapshot_ttl_s: u32,
    /// The answer to an earlier [`Reservation::NeedSnapshot`].
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub supply: Option<Supply<'a>>,
}

/// The object's answer to a [`ReserveRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reservation {
    /// The slot is held for 30 seconds.
    Held,
    /// The address has a slot.
    AlreadyBound {
        /// The binding that holds it.
        binding_id: Uuid,
    },
    /// No slot is free.
    Full,
    /// No such license.
    Missing,
    /// Read the license and call again with this token.
    NeedSnapshot {
        /// As in [`Answer::NeedSnapshot`].
        token: u64,
    },
    /// Neither Postgres nor a snapshot young enough.
    Unavailable,
}

/// Bindings made by the object that it has not yet seen in Postgres.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pending {
    /// In the order they were made.
    pub bindings: Vec<PendingBinding>,
}

/// A binding the object made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingBinding {
    /// Row id.
    pub id: Uuid,
    /// What is bound.
    pub ip: AddressKey,
    /// As told by the validation that made it.
    pub machine_id: Option<String>,
    /// As told by the validation that made it.
    pub hostname: Option<String>,
    /// When it was made.
    pub first_seen_at: DateTime<Utc>,
}

/// A new binding in the log.
pub type LogBinding = PendingBinding;

/// One message of the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogBatch {
    /// The license.
    pub license_id: Uuid,
    /// Its vendor.
    pub organization_id: Uuid,
    /// New bindings.
    pub bindings: Vec<LogBinding>,
    /// Bindings used.
    pub seen: Vec<LogSeen>,
    /// Collisions recorded.
    pub collisions: Vec<CollisionRecord>,
    /// Validations made.
    pub validations: Vec<LogValidation>,
}

/// A binding was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogSeen {
    /// Row id of the binding.
    pub binding_id: Uuid,
    /// When last.
    pub last_seen_at: DateTime<Utc>,
}

/// Two addresses used one license within the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollisionRecord {
    /// Row id.
    pub id: Uuid,
    /// The address that was there.
    pub ip_a: AddressKey,
    /// The address that came.
    pub ip_b: AddressKey,
    /// Binding of `ip_a`, if it holds a slot.
    pub binding_a: Option<Uuid>,
    /// Binding of `ip_b`, if it holds a slot.
    pub binding_b: Option<Uuid>,
    /// By the number of addresses.
    pub severity: Severity,
    /// Addresses in the window.
    pub address_count: usize,
    /// When.
    pub detected_at: DateTime<Utc>,
    /// This one suspends the license.
    pub suspend: bool,
}

/// One validation in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogValidation {
    /// Row id, ordered by time.
    pub id: Uuid,
    /// The binding used, if any.
    pub binding_id: Option<Uuid>,
    /// The address that counted.
    pub ip: String,
    /// The address of the connection.
    pub connection_ip: Option<String>,
    /// The verdict was `VALID`.
    pub is_valid: bool,
    /// The verdict's code, when it was not.
    pub failure_reason: Option<String>,
    /// As told.
    pub device_info: Option<serde_json::Value>,
    /// As told.
    pub machine_id: Option<String>,
    /// As told.
    pub hostname: Option<String>,
    /// As told.
    pub nonce: Option<String>,
    /// As told.
    pub user_agent: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}
