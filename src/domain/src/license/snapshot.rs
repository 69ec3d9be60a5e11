//! The license as one read of Postgres shows it, and the terms made from it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::address::{Address, Cidr};
use crate::calendar;
use crate::json::{self, Misread};
use crate::settings::{Key, check};

use super::life::Status;

/// Slots of a license whose `custom_limits` say nothing.
const DEFAULT_MAX_IPS: i64 = 5;
/// Slots that even a license without a limit has: whoever holds a key must not
/// be able to fill a disk with it.
pub const MOST_IPS: usize = 10_000;
/// AI requests in a month and AI calls at a time, where neither license nor
/// plan says.
const DEFAULT_AI_REQUESTS: i64 = 1_000;
const DEFAULT_CONCURRENT_TASKS: i64 = 2;
/// Collisions in 24 hours that a license may have, unless configured.
const DEFAULT_THRESHOLD: u32 = 10;
/// Keys of `custom_limits` that are the vendor's own business.
const PRIVATE_LIMITS: [&str; 4] = [
    "address_source",
    "allowed_cidrs",
    "collision_threshold",
    "collision_auto_revoke",
];

/// Everything a verdict needs beside the slots, read in one statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The license.
    pub license: License,
    /// The system's settings.
    #[serde(default, deserialize_with = "settings")]
    pub settings: Settings,
    /// The collision that last suspended the license.
    #[serde(default)]
    pub last_suspension: Option<Uuid>,
    /// How often the license was reactivated.
    #[serde(default)]
    pub reactivations: u32,
}

impl Snapshot {
    /// Reads the JSON that Postgres made.
    ///
    /// # Errors
    /// The JSON is not a snapshot.
    pub fn parse(text: &str) -> Result<Self, Misread> {
        json::read(text)
    }
}

/// The license itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct License {
    /// Row id.
    pub id: Uuid,
    /// The vendor.
    pub organization_id: Uuid,
    /// The key, for completeness: the object is found by it.
    #[serde(default)]
    pub key: String,
    /// The person it belongs to, if to anybody.
    #[serde(default)]
    pub owner_id: Option<Uuid>,
    /// Status as stored; time may have moved on.
    pub status: Status,
    /// Not valid before.
    #[serde(default, deserialize_with = "moment")]
    pub starts_at: Option<DateTime<Utc>>,
    /// Not valid from then on.
    #[serde(default, deserialize_with = "moment")]
    pub expires_at: Option<DateTime<Utc>>,
    /// End of the trial, for a trial.
    #[serde(default, deserialize_with = "moment")]
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// What was bought.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// What it is for, when it is for one product.
    #[serde(default)]
    pub product: Option<Product>,
    /// Overrides of this license.
    #[serde(default)]
    pub custom_limits: Option<Map<String, Value>>,
    /// The vendor's notes for its program.
    #[serde(default)]
    pub metadata: Value,
}

/// The plan of a license.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Stable code.
    pub code: String,
    /// Display name.
    #[serde(default)]
    pub name: Value,
    /// Limits of the plan.
    #[serde(default)]
    pub limits: Value,
    /// Features of the plan.
    #[serde(default)]
    pub features: Value,
}

/// The product of a license.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Row id.
    pub id: Uuid,
    /// Code as in the license key.
    pub code: String,
    /// Display name.
    #[serde(default)]
    pub name: Value,
    /// Only `published` products validate.
    pub status: String,
    /// Soft-deleted.
    #[serde(default)]
    pub deleted: bool,
}

/// Which of two addresses counts: the one a program names, or the one it calls
/// from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AddressSource {
    /// The address a program names, where it names one; else the connection's.
    #[default]
    Reported,
    /// The address of the connection.
    Connection,
}

impl AddressSource {
    /// Every spelling.
    pub const NAMES: [&str; 2] = ["reported", "connection"];

    /// Reads one of [`AddressSource::NAMES`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "reported" => Some(Self::Reported),
            "connection" => Some(Self::Connection),
            _ => None,
        }
    }
}

/// The system's settings for licenses; a license may override each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// More collisions than this in 24 hours suspend, if they may.
    pub collision_threshold: u32,
    /// Whether they may.
    pub collision_auto_revoke: bool,
    /// Which address counts; a plan may say so too.
    #[serde(default)]
    pub address_source: AddressSource,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            collision_threshold: DEFAULT_THRESHOLD,
            collision_auto_revoke: false,
            address_source: AddressSource::default(),
        }
    }
}

/// A snapshot made ready for verdicts: what each validation needs is computed
/// once, when the snapshot is installed. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Stored status.
    pub status: Status,
    /// Not valid before.
    pub starts_at: Option<i64>,
    /// Not valid from then on.
    pub expires_at: Option<i64>,
    /// End of a trial.
    pub trial_ends_at: Option<i64>,
    /// No product, or one that is published.
    pub product_active: bool,
    /// Whose license it is.
    pub owner_id: Option<Uuid>,
    /// AI requests in a period; `None` without a limit.
    pub max_ai_requests: Option<i64>,
    /// AI calls at the same time; `None` without a limit.
    pub max_concurrent_tasks: Option<i64>,
    /// Money for AI calls in a period, in millionths of a dollar; `None`
    /// without a limit.
    pub max_ai_cost_micro: Option<i64>,
    /// Slots; `None` is as many as there can be.
    pub max_ips: Option<usize>,
    /// Networks the license is confined to, when it is.
    pub allowed: Option<Vec<Cidr>>,
    /// The license's own threshold of collisions, where it has one.
    pub own_collision_threshold: Option<u32>,
    /// The license's own word on suspension, where it has one.
    pub own_collision_auto_revoke: Option<bool>,
    /// Which address counts, where the license or its plan says so.
    pub own_address_source: Option<AddressSource>,
    /// How often the license was reactivated.
    pub reactivations: u32,
    /// The system's settings when the snapshot was read.
    pub settings: Settings,
    /// The `license` object of a `VALID` answer.
    pub license_json: String,
}

impl Terms {
    /// Prepares a snapshot. A malformed override counts as absent, except that
    /// a malformed network admits nobody: a restriction must not vanish.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let license = &snapshot.license;
        let custom = |key: &str| license.custom_limits.as_ref().and_then(|map| map.get(key));
        let max_ips = custom("max_ips")
            .and_then(Value::as_i64)
            .unwrap_or(DEFAULT_MAX_IPS);
        let allowed = custom("allowed_cidrs")
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
            .map(|list| {
                let networks = list.iter().filter_map(Value::as_str);
                networks.filter_map(Cidr::parse).collect()
            });
        Self {
            status: license.status,
            starts_at: license.starts_at.map(|at| at.timestamp_millis()),
            expires_at: license.expires_at.map(|at| at.timestamp_millis()),
            trial_ends_at: license.trial_ends_at.map(|at| at.timestamp_millis()),
            product_active: license
                .product
                .as_ref()
                .is_none_or(|product| product.status == "published" && !product.deleted),
            owner_id: license.owner_id,
            max_ai_requests: limit(license, "max_ai_requests_per_month")
                .map_or(Some(DEFAULT_AI_REQUESTS), |limit| count(&limit)),
            max_concurrent_tasks: limit(license, "max_concurrent_tasks")
                .map_or(Some(DEFAULT_CONCURRENT_TASKS), |limit| count(&limit)),
            max_ai_cost_micro: limit(license, "max_ai_cost_usd_per_month")
                .and_then(|limit| micro_dollars(limit.as_f64()?)),
            max_ips: usize::try_from(max_ips).ok(),
            allowed,
            own_collision_threshold: custom("collision_threshold")
                .and_then(Value::as_u64)
                .and_then(|threshold| u32::try_from(threshold).ok()),
            own_collision_auto_revoke: custom("collision_auto_revoke").and_then(Value::as_bool),
            own_address_source: custom("address_source")
                .and_then(source)
                .or_else(|| source(license.plan.as_ref()?.limits.get("address_source")?)),
            reactivations: snapshot.reactivations,
            settings: snapshot.settings,
            license_json: public(license, max_ips),
        }
    }

    /// Collisions in 24 hours beyond which the license is suspended; `None` when
    /// it never is. `settings` are the system's, where they are known better
    /// than from the snapshot; the license's own words stand before both.
    #[must_use]
    pub fn suspends_above(&self, settings: Option<Settings>) -> Option<u32> {
        let settings = settings.unwrap_or(self.settings);
        self.own_collision_auto_revoke
            .unwrap_or(settings.collision_auto_revoke)
            .then(|| {
                self.own_collision_threshold
                    .unwrap_or(settings.collision_threshold)
            })
    }

    /// Which address counts. `settings` as in [`Terms::suspends_above`].
    #[must_use]
    pub fn address_source(&self, settings: Option<Settings>) -> AddressSource {
        self.own_address_source
            .unwrap_or(settings.unwrap_or(self.settings).address_source)
    }

    /// Whether the license may be used from `address` at all.
    #[must_use]
    pub fn allows(&self, address: &Address) -> bool {
        match &self.allowed {
            Some(networks) => networks.iter().any(|network| network.contains(address)),
            None => true,
        }
    }

    /// Whether `address` can take part in collisions: those the vendor listed
    /// are its own and cannot.
    #[must_use]
    pub fn can_collide(&self, address: &Address) -> bool {
        self.allowed.is_none() || !self.allows(address)
    }
}

/// A limit of the license, or else of its plan.
fn limit(license: &License, name: &str) -> Option<Value> {
    let own = license.custom_limits.as_ref();
    own.and_then(|own| own.get(name))
        .or_else(|| license.plan.as_ref()?.limits.get(name))
        .filter(|limit| limit.is_number())
        .cloned()
}

/// A limit that counts; none when it is negative.
fn count(limit: &Value) -> Option<i64> {
    limit.as_i64().filter(|most| *most >= 0)
}

/// Dollars as whole millionths; none when they are negative.
fn micro_dollars(dollars: f64) -> Option<i64> {
    (dollars >= 0.0).then(|| (dollars * 1e6).round() as i64)
}

/// What the holder of a valid license sees of it: nothing of the tenant, of
/// other addresses or of the vendor's defences.
fn public(license: &License, max_ips: i64) -> String {
    let mut limits = match license.plan.as_ref().map(|plan| &plan.limits) {
        Some(Value::Object(limits)) => limits.clone(),
        _ => Map::new(),
    };
    limits.retain(|key, _| !PRIVATE_LIMITS.contains(&key.as_str()));
    for (key, value) in license.custom_limits.iter().flatten() {
        if !PRIVATE_LIMITS.contains(&key.as_str()) {
            limits.insert(key.clone(), value.clone());
        }
    }
    limits.insert("max_ips".to_owned(), max_ips.max(-1).into());
    json!({
        "id": license.id,
        "status": license.status,
        "starts_at": license.starts_at,
        "expires_at": license.expires_at,
        "trial_ends_at": license.trial_ends_at,
        "plan": license.plan.as_ref().map(|plan| json!({
            "code": plan.code, "name": plan.name, "features": plan.features,
        })),
        "product": license.product.as_ref().map(|product| json!({
            "id": product.id, "code": product.code, "name": product.name,
        })),
        "limits": limits,
        "metadata": license.metadata,
    })
    .to_string()
}

/// A setting that is missing or nonsense is its default: no license stops
/// working for it.
fn settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
    let stored = Value::deserialize(deserializer)?;
    let usable = |name: &str, key: Key| stored.get(name).filter(|value| check(key, value).is_ok());
    let default = Settings::default();
    Ok(Settings {
        collision_threshold: usable("collision_threshold", Key::LicenseCollisionThreshold)
            .and_then(Value::as_u64)
            .and_then(|threshold| u32::try_from(threshold).ok())
            .unwrap_or(default.collision_threshold),
        collision_auto_revoke: usable("collision_auto_revoke", Key::LicenseCollisionAutoRevoke)
            .and_then(Value::as_bool)
            .unwrap_or(default.collision_auto_revoke),
        address_source: usable("address_source", Key::LicenseAddressSource)
            .and_then(source)
            .unwrap_or(default.address_source),
    })
}

fn source(value: &Value) -> Option<AddressSource> {
    value.as_str().and_then(AddressSource::parse)
}

/// Postgres can hold moments that RFC 3339 cannot write (`infinity`, year
/// 294276): those are as good as the last one it can.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    if let Ok(moment) = DateTime::parse_from_rfc3339(&text) {
        return Ok(Some(moment.with_timezone(&Utc)));
    }
    let year = text.split('-').next().unwrap_or_default();
    if text == "infinity" || (year.len() > 4 && year.bytes().all(|byte| byte.is_ascii_digit())) {
        return Ok(calendar::parse_timestamp("9999-12-31T23:59:59Z"));
    }
    Err(serde::de::Error::custom("not a timestamp"))
}
