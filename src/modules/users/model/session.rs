//! A sign-in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A sign-in as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Session {
    /// Identifier.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The device, as far as its program tells.
    pub device_info: Device,
    /// The address it was last used from.
    pub ip_address: Option<String>,
    /// The program it was last used with.
    pub user_agent: Option<String>,
    /// Whether it goes on.
    pub is_active: bool,
    /// Whether this request belongs to it.
    pub is_current: bool,
    /// When it was last used, within a minute.
    pub last_seen_at: String,
    /// When it was first used.
    pub created_at: String,
    /// When it was ended here.
    pub ended_at: Option<String>,
}

/// What a `User-Agent` tells of the device.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionDevice")]
pub struct Device {
    /// `Chrome`, `Firefox`, …
    pub browser: Option<String>,
    /// `Windows`, `macOS`, …
    pub os: Option<String>,
    /// `desktop`, `mobile` or `tablet`.
    pub device_type: Option<String>,
}
