//! The rows an object keeps, each a JSON text under its own key, so that a
//! change writes only what changed.

use celaest_domain::address::AddressKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::announced::Announced;

/// Key of the license as Postgres showed it.
pub const SNAPSHOT: &str = "license";
/// Key of [`Core`].
pub const CORE: &str = "core";
/// Key of the collision window.
pub const WINDOW: &str = "window";
/// Key of the rate limit's window.
pub const LIMIT: &str = "limit";
/// Key prefix of a slot that Postgres shows as taken; an address follows, the
/// value is the binding's id.
pub const SLOT: &str = "a:";
/// Key prefix of a binding Postgres has not confirmed.
pub const BINDING: &str = "b:";
/// Key prefix of a collision Postgres has not confirmed.
pub const COLLISION: &str = "c:";
/// Key of what Postgres counts of AI calls.
pub const CALLS: &str = "calls";
/// Key prefix of an AI call Postgres has no record of; its id follows.
pub const CALL: &str = "r:";

/// Whose license this is; everything the object reports says so.
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
    #[serde(default)]
    pub owner: Option<Owner>,
    /// The object's own suspension, until Postgres shows it or a reactivation.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// Slots held for manual binds.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// Changes that may be committed by now.
    #[serde(default)]
    pub announced: Announced,
    /// The license was cancelled: nothing needs to be kept of it.
    #[serde(default)]
    pub ended: bool,
}

/// A suspension that the object decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The collision that caused it.
    pub collision: Uuid,
    /// How often the license had been reactivated then: one reactivation more
    /// lifts it, whatever else is known.
    pub reactivations: u32,
}

/// A slot held for a manual bind that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The change that will bind it.
    pub change: Uuid,
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
