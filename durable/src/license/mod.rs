//! One object per license: its snapshot, its addresses and its collisions; and
//! what travels between it, the worker and the queue.
//!
//! The object is named by the canonical license key. It never reads Postgres:
//! when it needs the license it asks the worker, which reads and calls again.

mod calls;
mod client;
mod collisions;
mod journal;
mod object;
mod packing;
mod rules;
mod stored;
mod wire;

#[cfg(test)]
mod tests;

pub use calls::{
    CallAnswer, CallMeta, Confirmed, Ended, Left, Limit, OUTCOME_UNKNOWN, Record, ReserveCall,
    Settle, SettleCall, Usage,
};
pub use client::{
    announce, confirm_calls, forget, pending, reserve, reserve_call, settle_calls, settled,
    validate,
};
pub use journal::{ATTEMPTS, Due, Journal, Line, MAX_DEVICE_INFO};
pub(crate) use object::open;
pub use packing::pack_lines;
pub use wire::{
    Answer, Check, CollisionRecord, CurrentSettings, Found, LogBatch, LogValidation, Logged,
    Outcome, Pending, PendingBinding, Reservation, ReserveRequest, Supply, Wanted,
};
