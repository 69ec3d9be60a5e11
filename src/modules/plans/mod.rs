//! Module 1, what licenses are sold as. The URLs are in `router.rs`.

pub mod create;
pub mod delete;
pub mod limits;
pub mod list;
pub mod model;
pub mod queries;
pub mod read;
pub mod update;
