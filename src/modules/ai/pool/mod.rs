//! Module 6, the keys of the providers. What each is good for right now is known by the object of its pool
//! (`celaest_durable::key_pool`); PostgreSQL has the keys themselves, sealed, and follows.

pub mod keys;
pub mod lending;

pub use lending::{Lent, Outcome, Reserved, Wanted, reserve, settle};
