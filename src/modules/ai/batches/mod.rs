//! Module 6, batches of AI tasks. The URLs are in `router.rs`.

pub mod change;
pub mod create;
pub mod model;
pub mod queries;
pub mod read;
pub mod results;
