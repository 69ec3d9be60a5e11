//! The newest audit seal of each tenant, outside PostgreSQL: whoever owns the
//! database can take seals away, but not make this forget them.

mod client;
mod object;
mod rules;

pub use client::{advance, read, restart};
pub(crate) use object::open;
pub use rules::{Known, Restart, Step, advanced, restarts};
