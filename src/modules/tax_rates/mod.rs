//! Module 9, taxes. The URLs are in `router.rs`.

pub mod create;
pub mod list;
pub mod model;
pub mod queries;
pub mod update;
