//! Module 6, the keys of the providers. What each is good for right now is known by the object of its pool
//! (`celaest_durable::key_pool`); PostgreSQL has the keys themselves, sealed, and follows.

pub mod create;
pub mod health;
mod import;
mod keys;
mod lending;
pub mod list;
pub mod model;
pub mod notices;
mod probe;
pub mod queries;
pub mod remove;
pub mod reports;
pub mod stats;
pub mod test;
pub mod update;

pub use lending::{Lent, Outcome, Reserved, Wanted, reserve, settle};
