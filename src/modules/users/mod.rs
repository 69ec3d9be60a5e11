//! Module 2, people. The URLs are in `router.rs`.

pub mod api_keys;
pub mod invite;
pub mod list;
pub mod model;
pub mod profile;
pub mod queries;
pub mod read;
pub mod remove;
pub mod sessions;
pub mod update;
