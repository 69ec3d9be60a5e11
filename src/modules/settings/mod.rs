//! Module 10, the configuration of the system. The URLs are in `router.rs`.
//!
//! The settings themselves (names, bounds, defaults) are in `celaest_domain::settings`; what the rest
//! of the worker goes by is in `crate::settings`.

pub mod model;
pub mod queries;
pub mod read;
pub mod sealed;
pub mod update;
