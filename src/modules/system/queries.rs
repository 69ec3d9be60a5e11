//! The SQL of the system itself.

use crate::db::facts::Subject;
use crate::db::{Key, Rows};

/// The columns of [`super::model::DeadLetter`], from `dead_letters d`.
pub const COLUMNS: &str =
    "d.id, d.queue, d.status, d.reason, octet_length(d.body) AS bytes, d.deaths, d.queued_at,
    d.first_seen_at, d.last_seen_at, d.replayed_at, d.replayed_by";

/// How dead letters are ordered.
pub const KEY: Key = &[("last_seen_at", "timestamptz"), ("id", "uuid")];

/// What the log learns of a dead letter; never what is in it.
pub const DEAD_LETTER: Subject = Subject {
    kind: "dead_letter",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// All dead letters: they belong to no tenant.
pub fn letters() -> Rows {
    Rows::of("dead_letters", "d")
}
