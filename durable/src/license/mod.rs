//! One object per license: its snapshot, its addresses, its collisions and the
//! buffer of its validation log.
//!
//! The object is named by the canonical license key. It never reads Postgres:
//! when it needs the license it asks the worker, which reads and calls again.

mod client;
mod collisions;
mod journal;
mod object;
mod rules;
mod stored;
mod wire;

#[cfg(test)]
mod tests;

pub use client::{forget, pending, reserve, validate};
pub use journal::MAX_DEVICE_INFO;
pub use object::LicenseObject;
pub use wire::{
    Answer, Check, CollisionRecord, CurrentSettings, LogBatch, LogBinding, LogSeen, LogValidation,
    Pending, PendingBinding, Reservation, ReserveRequest, Supply,
};
