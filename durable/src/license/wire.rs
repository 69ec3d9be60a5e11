//! What travels between the worker, the object and the queue.

mod check;

pub use check::Check;

use celaest_domain::json;
use std::borrow::Cow;
use std::fmt::Write;

use celaest_domain::address::AddressKey;
use celaest_domain::license::{Settings, Severity};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::calls::Usage;
use crate::caller::Decision;

/// The system's settings and when they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        /// A [`Found`].
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

/// One read of a license.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found<'a> {
    /// A [`celaest_domain::license::Snapshot`].
    #[serde(borrow)]
    pub snapshot: &'a RawValue,
    /// Every slot that is taken, with the binding's id.
    pub bindings: std::collections::HashMap<AddressKey, Uuid>,
    /// Those of [`Wanted::waiting`] that Postgres has, whatever became of them.
    #[serde(default)]
    pub settled: Vec<Uuid>,
    /// What its AI calls used.
    #[serde(default, deserialize_with = "readable")]
    pub usage: Option<Usage>,
}

/// Moments beyond what can be counted with are no usage; a validation needs none.
fn readable<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Usage>, D::Error> {
    let told = Value::deserialize(from)?;
    Ok(serde_json::from_value(told).ok())
}

/// What the object wants to have read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// Ties what is read to this request: changed by every notice of a change
    /// and every snapshot installed.
    pub token: u64,
    /// Bindings, collisions and AI calls that the object does not know to be in
    /// Postgres.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Uuid>,
}

/// The object's answer to a [`Check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The verdict.
    Verdict {
        /// The complete `data` of the response, as JSON.
        data: String,
        /// What the log says of it, if it says anything.
        logged: Option<Logged>,
    },
    /// Read the license and call again.
    NeedSnapshot(Wanted),
    /// Too many validations of this license.
    Limited(Decision),
    /// Neither Postgres nor a snapshot that may be used.
    Unavailable,
}

/// What only the object knows of a line of the validation log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The license.
    pub license_id: Uuid,
    /// The binding used, if any.
    pub binding_id: Option<Uuid>,
    /// The verdict's code, when it was not `VALID`.
    pub failure: Option<Cow<'static, str>>,
}

impl Logged {
    /// Reads a line: the license, the binding if any, and the code if it says one.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ' ');
        let license_id = parts.next()?.parse().ok()?;
        let binding_id = match parts.next()? {
            "" => None,
            binding => Some(binding.parse().ok()?),
        };
        let failure = parts.next().map(|code| code.to_owned().into());
        Some(Self {
            license_id,
            binding_id,
            failure,
        })
    }
}

impl Answer {
    /// The answer as one text: a line that says what it is, and the verdict
    /// below it as it will be sent on.
    #[must_use]
    pub fn encode(&self) -> String {
        // Plain structures always serialize.
        match self {
            Self::Verdict { data, logged } => {
                let mut text = String::with_capacity(96 + data.len());
                text.push('V');
                if let Some(logged) = logged {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{} ", logged.license_id);
                    if let Some(binding) = &logged.binding_id {
                        let _ = write!(text, "{binding}");
                    }
                    if let Some(failure) = &logged.failure {
                        let _ = write!(text, " {failure}");
                    }
                }
                text.push('\n');
                text.push_str(data);
                text
            }
            Self::NeedSnapshot(wanted) => {
                format!("N{}", serde_json::to_string(wanted).unwrap_or_default())
            }
            Self::Limited(decision) => format!(
                "L{} {} {}",
                decision.limit, decision.remaining, decision.reset_s
            ),
            Self::Unavailable => "U".to_owned(),
        }
    }

    /// Reads what [`Answer::encode`] made.
    #[must_use]
    pub fn decode(mut text: String) -> Option<Self> {
        match text.chars().next()? {
            'V' => {
                let end = text.find('\n')?;
                let logged = match &text[1..end] {
                    "" => None,
                    line => Some(Logged::read(line)?),
                };
                text.drain(..=end);
                Some(Self::Verdict { data: text, logged })
            }
            'N' => Some(Self::NeedSnapshot(json::read(&text[1..]).ok()?)),
            'L' => {
                let mut numbers = text[1..].split(' ').map(str::parse::<u32>);
                Some(Self::Limited(Decision {
                    allowed: false,
                    limit: numbers.next()?.ok()?,
                    remaining: numbers.next()?.ok()?,
                    reset_s: numbers.next()?.ok()?,
                }))
            }
            'U' => Some(Self::Unavailable),
            _ => None,
        }
    }
}

/// A slot asked for by a manual bind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReserveRequest<'a> {
    /// The change that will bind it; the slot is held until its outcome is told.
    pub change: Uuid,
    /// The address, in canonical text.
    pub ip: &'a str,
    /// Age at which a snapshot is read again, in seconds.
    pub snapshot_ttl_s: u32,
    /// The answer to an earlier [`Reservation::NeedSnapshot`].
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub supply: Option<Supply<'a>>,
}

/// The object's answer to a [`ReserveRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reservation {
    /// The slot is held, for 30 seconds at most.
    Held,
    /// The address has a slot.
    AlreadyBound,
    /// No slot is free.
    Full,
    /// No such license.
    Missing,
    /// Read the license and call again.
    NeedSnapshot(Wanted),
    /// Neither Postgres nor a snapshot that may be used.
    Unavailable,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The change; none when some change or other is known to be committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Uuid>,
    /// It cancelled the license for good.
    #[serde(default)]
    pub ended: bool,
    /// It was not committed and never will be.
    #[serde(default)]
    pub called_off: bool,
}

/// What the object has that Postgres may not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pending {
    /// Bindings, in the order they were made.
    pub bindings: Vec<PendingBinding>,
    /// Collisions suspended the license.
    pub suspended: bool,
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
    /// This one suspends the license, unless it was reactivated since.
    pub suspend: bool,
    /// How often the license had been reactivated.
    pub reactivations: u32,
}

/// One message of the queue: what an object made, or lines of the log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogBatch {
    /// The license of the bindings and collisions.
    pub license_id: Option<Uuid>,
    /// New bindings.
    pub bindings: Vec<PendingBinding>,
    /// Collisions recorded.
    pub collisions: Vec<CollisionRecord>,
    /// Validations made, of any license.
    pub validations: Vec<LogValidation>,
}

/// One validation in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogValidation {
    /// Row id, ordered by time.
    pub id: Uuid,
    /// The license.
    pub license_id: Uuid,
    /// The binding used, if any.
    pub binding_id: Option<Uuid>,
    /// The address that was named, or else the connection's.
    pub ip: String,
    /// The address of the connection.
    pub connection_ip: String,
    /// Where the connection came from; messages of earlier versions do not say.
    #[serde(default)]
    pub country: Option<String>,
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
