//! Rate limits: one object per caller, counting exactly under concurrency.

mod client;
mod object;
mod rules;

pub use client::check;
pub use object::RateLimitObject;
pub use rules::{Decision, FixedWindow, LocalLimiter};
