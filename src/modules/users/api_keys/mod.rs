//! The API keys of a person.

pub mod create;
pub mod list;
pub mod queries;
pub mod remove;
pub mod rotate;
pub mod used;
