//! The keys of one provider and owner: one object per pool.
//!
//! The object is the authority for what each key is good for right now: in use, resting until a moment, or
//! disabled; how much its group did in the last minute and day; what was called with it. Which keys there are
//! it is told by the worker, under a token, like the object of a caller.

mod client;
mod limits;
mod object;
mod rules;
mod standing;
mod stats;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{announce, forget, reserve, settle, shown};
pub(crate) use rules::Machine;
pub use stats::{Histogram, Series, Tally};
pub use wire::{Given, KeyShown, Lease, Reserve, Reserved, Settle, Shown, State, Supply, Verdict};
