//! Module 5, licensing. The URLs are in `router.rs`.

pub mod actions;
pub mod batch_validate;
pub mod cancel;
pub mod close_periods;
pub mod collisions;
pub mod create;
pub mod edge;
pub mod expire;
pub mod ips;
mod journal;
pub mod list;
pub mod many;
pub mod model;
pub mod notices;
pub mod queries;
pub mod read;
mod slots;
pub mod sold;
pub mod update;
pub mod usage;
pub mod validate;
pub mod validations;
pub mod write_log;
