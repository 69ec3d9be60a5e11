//! One object per webhook: the events it has still to be told, and what became
//! of the attempts.
//!
//! The object is named by the webhook's id, so a receiver that is dead or slow
//! holds up nobody else. It never reads Postgres: its configuration comes with
//! every call, and every attempt goes back through a queue.

mod client;
mod object;
mod rules;
mod send;
mod store;
mod wire;

#[cfg(test)]
mod tests;

pub use client::{configure, enqueue};
pub(crate) use object::open;
pub use wire::{Attempt, Endpoint, Enqueue, Event, Reason, Report, SealedSecret, Status};
