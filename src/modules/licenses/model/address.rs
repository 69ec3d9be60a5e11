//! What is known of a license's addresses: bindings, collisions and the validation log.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Body of `POST /api/licenses/{id}/bind-ip`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewBinding {
    /// IPv4, or IPv6 (which counts by its /64).
    #[garde(length(bytes, max = 64))]
    pub ip_address: String,
    /// A stable identifier of the machine.
    #[serde(default)]
    #[garde(length(chars, max = 255))]
    pub machine_id: Option<String>,
    /// The machine's name.
    #[serde(default)]
    #[garde(length(chars, max = 255))]
    pub hostname: Option<String>,
}

/// Query of `DELETE /api/licenses/{id}/unbind-ip`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Unbinding {
    /// The address to free.
    #[garde(length(bytes, max = 64))]
    pub ip_address: String,
}

/// An address bound to a license.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Binding {
    /// Identifier.
    pub id: Uuid,
    /// The license.
    pub license_id: Uuid,
    /// The address; IPv6 as its /64 network.
    pub ip_address: String,
    /// The machine that first used it.
    pub machine_id: Option<String>,
    /// Its name.
    pub hostname: Option<String>,
    /// `auto` at a validation, `manual` through the API.
    pub source: String,
    /// Whether it holds a slot.
    pub is_active: bool,
    /// First validation or bind.
    pub first_seen_at: String,
    /// Last validation, as far as the log has arrived.
    pub last_seen_at: String,
    /// When the slot was freed.
    pub unbound_at: Option<String>,
}

/// A collision: the same key from two addresses within the window.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Collision {
    /// Identifier.
    pub id: Uuid,
    /// The license.
    pub license_id: Uuid,
    /// One address.
    pub ip_address_a: String,
    /// The other.
    pub ip_address_b: String,
    /// Its kind; `concurrent_ip`.
    pub collision_type: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Addresses in the window when it was found.
    pub address_count: i32,
    /// When it was found.
    pub detected_at: String,
    /// Whether it suspended the license.
    pub suspended_license: bool,
    /// When somebody resolved it.
    pub resolved_at: Option<String>,
    /// Who did.
    pub resolved_by: Option<Uuid>,
    /// What they noted.
    pub resolution_notes: Option<String>,
}

/// Body of `POST /api/licenses/{id}/collisions/{inner_id}/resolve`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// What was found out.
    #[serde(default)]
    #[garde(length(chars, max = 2000))]
    pub notes: Option<String>,
}

/// One line of the validation log.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LoggedValidation {
    /// Identifier.
    pub id: Uuid,
    /// The license.
    pub license_id: Uuid,
    /// The binding that was used.
    pub ip_binding_id: Option<Uuid>,
    /// The address that was validated.
    pub ip_address: Option<String>,
    /// The address of the connection.
    pub connection_ip: Option<String>,
    /// The verdict.
    pub is_valid: bool,
    /// Why not.
    pub failure_reason: Option<String>,
    /// What the program said of the machine.
    pub device_info: Option<Value>,
    /// The machine.
    pub machine_id: Option<String>,
    /// Its name.
    pub hostname: Option<String>,
    /// The nonce.
    pub nonce: Option<String>,
    /// The program.
    pub user_agent: Option<String>,
    /// When.
    pub created_at: String,
}
