//! Module 12, telemetry. The URLs are in `router.rs`.

pub mod errors;
pub mod intake;
pub mod list;
pub mod model;
pub mod queries;
pub mod write;
