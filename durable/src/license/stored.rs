//! The rows an object keeps, each a JSON text under its own key, so that a
//! change writes only what changed.

use celaest_domain::address::AddressKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Key of the snapshot.
pub const SNAPSHOT: &str = "snapshot";
/// Key of [`Core`].
pub const CORE: &str = "core";
/// Key of the collision window.
pub const WINDOW: &str = "window";
/// Key prefix of a binding Postgres has not confirmed.
pub const BINDING: &str = "b:";
/// Key prefix of a collision not yet handed to the queue.
pub const COLLISION: &str = "c:";

/// Whose license this is; every log message says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The license.
    pub license_id: Uuid,
    /// Its vendor.
    pub organization_id: Uuid,
}

/// The small facts of an object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Core {
    /// Known since the first snapshot.
    pub owner: Option<Owner>,
    /// The collision that suspended the license, until Postgres shows it.
    #[serde(default)]
    pub suspension: Option<Uuid>,
    /// Slots held for manual binds.
    #[serde(default)]
    pub holds: Vec<Hold>,
}

/// A slot held for a manual bind that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Id the binding's row will have.
    pub binding_id: Uuid,
    /// Its address.
    pub ip: AddressKey,
    /// Free again from then on, in Unix milliseconds.
    pub until: i64,
}

/// A snapshot and when it was installed, in Unix milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredSnapshot<'a> {
    /// Installed at.
    pub at: i64,
    /// The JSON Postgres made.
    #[serde(borrow)]
    pub data: &'a RawValue,
}
