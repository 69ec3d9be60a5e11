//! Module 3, tenants. The URLs are in `router.rs`.

pub mod create;
pub mod list;
pub mod members;
pub mod model;
pub mod queries;
pub mod read;
pub mod remove;
pub mod subscription;
pub mod update;
