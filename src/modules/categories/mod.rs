//! Module 7, the tree that products are sorted into. The URLs are in `router.rs`.

pub mod create;
pub mod delete;
pub mod list;
pub mod model;
pub mod queries;
pub mod read;
pub mod update;
