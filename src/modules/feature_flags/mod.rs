//! Module 10, feature flags. The URLs are in `router.rs`, the rules in `celaest_domain::flags`.

pub mod create;
pub mod delete;
pub mod evaluate;
pub mod list;
pub mod model;
pub mod queries;
pub mod read;
pub mod toggle;
pub mod update;
