//! Who is calling, and how often: one object per caller.
//!
//! A caller is a person's tokens, an API key, or for those who did not prove who they are an address. The
//! object never reads PostgreSQL: when it does not know its caller it says so with a token, the worker
//! reads and asks again. What was read before a change can not be installed after it, because every
//! change makes the object forget, and forgetting changes the token.

mod client;
mod object;
mod rules;
#[cfg(test)]
mod tests;
mod window;
mod wire;

pub use client::{announce, ask, count, forget};
pub(crate) use rules::Machine;
pub use window::{Decision, FixedWindow, LocalLimiter};
pub use wire::{Answer, Ask, Supply};
