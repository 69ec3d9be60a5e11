//! Module 12, audit. The URLs are in `router.rs`.

pub mod acknowledge;
pub mod export;
pub mod filters;
pub mod list;
pub mod model;
pub mod queries;
pub mod seal;
pub mod verify;
